// Basic authentication (RFC 7617) against the passwords of the configured consumers.
import { z } from 'zod'
import type { ErrorCode } from '../../errors.ts'
import { durationMs } from '../../lib/units.ts'
import type { Authentication, KnownConsumer } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy, type PolicyEnvironment, type Verdict } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import {
  consumerHeaderNames,
  consumerHeadersSetting,
  setConsumerHeaders,
} from '../consumer-headers.ts'
import { CredentialFailures, failuresSetting, quoted, refusal } from '../credential-failure.ts'
import { type BasicCredential, parseBasic } from './basic-credential.ts'
import { PasswordVerifier, poolThreads } from './password-verifier.ts'

/** One thread of the pool stays free for files, names and whatever else waits for it. */
const HASHED_AT_ONCE_MAX = Math.max(1, poolThreads(process.env.UV_THREADPOOL_SIZE) - 1)

const settings = z.strictObject({
  realm: z
    .string()
    .regex(/^[ -~]{1,128}$/, 'a realm has 1 to 128 characters of ASCII')
    .default('gatehouse')
    .describe('What a browser shows beside its question for the password.'),
  forward: consumerHeadersSetting(),
  failures: failuresSetting(),
  remember: durationMs({ max: 3_600_000 })
    .prefault('5m')
    .describe('How long a right password need not be hashed again. `0s`: never remembered.'),
  concurrency: z
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe(
      "Passwords hashed at the same time, by all threads together; at most one fewer than node's " +
        'thread pool has threads.',
    ),
  queue: z
    .int()
    .min(0)
    .max(10_000)
    .default(64)
    .describe('Requests of all threads that may wait for that; past it 503.'),
})

export const basicAuth = definePolicy({
  name: 'basic-auth',
  summary: 'Lets in who presents the user name and password of a consumer.',
  settings,
  provides: ['consumer'],
  identityHeaders: ({ forward }) => consumerHeaderNames(forward),
  credentialPlaces: () => ['header:authorization'],
  credentials: () => [{ kind: 'passwords', isNeeded: true }],
  examples: [
    {},
    { realm: 'Back office', forward: { id: 'x-consumer' }, failures: { perIdentity: 5 } },
    { remember: '0s', concurrency: 1, queue: 10, failures: false },
  ],
  create(written, environment) {
    const authenticator = new BasicAuthenticator(written, environment)
    return { onRequest: (exchange) => authenticator.verify(exchange) }
  },
})

class BasicAuthenticator {
  readonly #forward: z.output<typeof settings>['forward']
  readonly #environment: PolicyEnvironment
  readonly #verifier: PasswordVerifier
  readonly #failures: CredentialFailures
  readonly #authentication: Authentication
  readonly #missing: Reply
  readonly #repeated: Reply
  readonly #malformed: Reply
  readonly #wrong: Reply
  readonly #busy: Reply

  constructor(written: z.output<typeof settings>, environment: PolicyEnvironment) {
    const { realm, forward, failures, remember, concurrency, queue } = written
    this.#forward = forward
    this.#environment = environment
    this.#verifier = environment.keep(
      `passwords ${concurrency} ${queue} ${remember}`,
      () =>
        new PasswordVerifier(
          {
            concurrency: Math.min(concurrency, HASHED_AT_ONCE_MAX),
            queueMax: queue,
            rememberMs: remember,
          },
          environment,
        ),
    )
    this.#failures = new CredentialFailures(failures, environment)
    this.#authentication = Object.freeze({ stage: environment.stage.id, scheme: 'Basic' })
    const challenge = `Basic realm=${quoted(realm)}, charset="UTF-8"`
    const refused = (code: ErrorCode, detail: string) =>
      refusal(environment, code, detail, challenge)
    this.#missing = refused('authentication_required', 'A user name and a password are needed.')
    this.#repeated = environment.problem('credential_ambiguous', {
      detail: 'There is more than one Authorization header.',
    })
    this.#malformed = refused('credential_invalid', 'The Authorization header cannot be read.')
    this.#wrong = refused('credential_invalid', 'The user name or the password is wrong.')
    this.#busy = environment.problem('credentials_busy')
  }

  verify(exchange: Exchange): Verdict {
    const header = exchange.requestHeader('authorization')
    if (header === null) return this.#missing
    if (exchange.request.count('authorization') > 1) return this.#repeated
    const credential = parseBasic(header)
    if (credential === 'other') return this.#missing
    if (credential === 'malformed') return this.#malformed
    const { username, password } = credential
    const { consumers } = this.#environment
    const entry = consumers.byUsername(username)
    // Nobody can tell by the time it takes whether there is somebody of this name.
    const hash = entry === null ? consumers.decoyHash(username) : entry.hash
    const ticket = this.#verifier.ticket(hash ?? '', username, password)
    if (entry !== null && this.#verifier.isRemembered(ticket)) {
      this.#accept(exchange, entry.consumer)
      return
    }
    return this.#hash(exchange, credential, entry?.consumer ?? null, hash, ticket)
  }

  /** @param consumer null where nobody has this name. */
  async #hash(
    exchange: Exchange,
    { username, password }: BasicCredential,
    consumer: KnownConsumer | null,
    hash: string | null,
    ticket: string,
  ): Promise<void | Reply> {
    const identity = `basic ${username}`
    if (!(await this.#failures.mayTry(exchange, identity))) return this.#failures.tooMany
    const place = this.#verifier.enter()
    if (place === false) return this.#busy
    try {
      if (place !== true) {
        await place
        // Of many guesses at once, those that fail first shut out those that still wait.
        if (!(await this.#failures.mayTry(exchange, identity))) return this.#failures.tooMany
      }
      const matches = hash !== null && (await this.#verifier.matches(hash, password))
      if (!matches || consumer === null) {
        this.#failures.note(exchange, identity)
        return this.#wrong
      }
    } finally {
      this.#verifier.leave()
    }
    this.#verifier.remember(ticket)
    this.#accept(exchange, consumer)
  }

  #accept(exchange: Exchange, consumer: KnownConsumer): void {
    exchange.consumer = consumer
    exchange.authentication = this.#authentication
    exchange.removeRequestHeader('authorization')
    setConsumerHeaders(exchange, this.#forward, consumer)
  }
}
