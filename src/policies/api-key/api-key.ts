// API keys: a shared secret that names one consumer of the configuration, which knows only its hash.
import { timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Authentication, KeyEntry } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy, type PolicyEnvironment, type Verdict } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { apiKeyHash, hasChecksum, KEY_PREFIX } from '../api-key-format.ts'
import {
  consumerHeaderNames,
  consumerHeadersSetting,
  setConsumerHeaders,
} from '../consumer-headers.ts'
import { CredentialFailures, failuresSetting, quoted, refusal } from '../credential-failure.ts'
import { CredentialPlace, type PlaceKind } from '../credential-place.ts'
import { fieldName, isProtectedField } from '../field.ts'

const DEFAULT_HEADER = 'x-api-key'
/** Longer ones are no keys, and are not hashed. */
const KEY_LENGTH_MAX = 512

const header = fieldName()
  .refine((name) => !isProtectedField(name, 'request'), 'the gateway itself writes this header')
  .refine(
    (name) => !['authorization', 'cookie'].includes(name.toLowerCase()),
    'this header has a form of its own, which is not that of a key',
  )
const parameter = z.string().min(1).max(256)
const cookie = z
  .string()
  .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/, 'this is not a valid cookie name')

function oneOrMore<Item extends z.ZodString>(item: Item) {
  return z.union([item.transform((name): string[] => [name]), z.array(item).min(1)]).optional()
}

const settings = z
  .strictObject({
    header: oneOrMore(header).describe(
      'Header that carries the key, one or a list. Default, if neither `query` nor `cookie` is given: `x-api-key`.',
    ),
    query: oneOrMore(parameter).describe(
      'Query parameter that carries it. URLs are kept in histories and logs: prefer a header.',
    ),
    cookie: oneOrMore(cookie).describe('Cookie that carries it.'),
    prefix: z
      .string()
      .regex(KEY_PREFIX, 'a prefix is 2 to 16 lower-case letters and digits, a letter first')
      .default('gh')
      .describe(
        'What `gatehouse keys create` puts before a key; one with it and a wrong checksum is not looked up.',
      ),
    realm: z
      .string()
      .regex(/^[ -~]{1,128}$/)
      .default('gatehouse')
      .describe('The realm of the challenge.'),
    forward: consumerHeadersSetting(),
    failures: failuresSetting(),
  })
  .transform(({ header, query, cookie, ...rest }) => ({
    ...rest,
    /** `header:NAME` and the like, in the order in which they are looked at. */
    places: [
      ...(header ?? (query === undefined && cookie === undefined ? [DEFAULT_HEADER] : [])).map(
        (name) => place('header', name.toLowerCase()),
      ),
      ...(query ?? []).map((name) => place('query', name)),
      ...(cookie ?? []).map((name) => place('cookie', name)),
    ],
  }))

function place(kind: PlaceKind, name: string): string {
  return `${kind}:${name}`
}

export const apiKey = definePolicy({
  name: 'api-key',
  summary: 'Lets in who presents an API key of a consumer.',
  settings,
  provides: ['consumer'],
  identityHeaders: ({ forward }) => consumerHeaderNames(forward),
  credentialPlaces: ({ places }) => places,
  credentials: () => [{ kind: 'keys', isNeeded: true }],
  examples: [
    {},
    { header: ['x-api-key', 'x-legacy-key'], forward: { id: 'x-consumer', groups: 'x-groups' } },
    { query: 'key', cookie: 'key', prefix: 'shop', failures: { perAddress: 100, window: '5m' } },
  ],
  create(written, environment) {
    const verifier = new KeyVerifier(written, environment)
    return { onRequest: (exchange) => verifier.verify(exchange) }
  },
})

class KeyVerifier {
  readonly #places: readonly CredentialPlace[]
  readonly #prefix: string
  readonly #forward: z.output<typeof settings>['forward']
  readonly #environment: PolicyEnvironment
  readonly #failures: CredentialFailures
  readonly #authentication: Authentication
  readonly #missing: Reply
  readonly #repeated: Reply
  readonly #malformed: Reply
  readonly #unknown: Reply
  readonly #expired: Reply

  constructor(written: z.output<typeof settings>, environment: PolicyEnvironment) {
    const { places, prefix, realm, forward, failures } = written
    this.#places = places.map(CredentialPlace.parse)
    this.#prefix = prefix
    this.#forward = forward
    this.#environment = environment
    this.#failures = new CredentialFailures(failures, environment)
    this.#authentication = Object.freeze({ stage: environment.stage.id, scheme: 'ApiKey' })
    const wanted = places.map((text) => text.replace(':', ' ')).join(' or ')
    const challenge = `ApiKey realm=${quoted(realm)}, in=${quoted(wanted)}`
    const refused = (code: Parameters<typeof refusal>[1], detail: string) =>
      refusal(environment, code, detail, challenge)
    this.#missing = refused('authentication_required', `An API key is needed in ${wanted}.`)
    this.#repeated = environment.problem('credential_ambiguous', {
      detail: 'There is more than one API key.',
    })
    this.#malformed = refused('credential_invalid', 'The API key is incomplete or mistyped.')
    this.#unknown = refused('credential_invalid', 'The API key is not known.')
    this.#expired = refused('credential_expired', 'The API key has expired.')
  }

  verify(exchange: Exchange): Verdict {
    let count = 0
    let key = ''
    for (let index = 0; index < this.#places.length; index++) {
      const place = this.#places[index]!
      const here = place.count(exchange)
      if (here === 0) continue
      count += here
      key = place.value(exchange) ?? ''
      place.strip(exchange)
    }
    if (count === 0) return this.#missing
    if (count > 1) return this.#repeated
    // What cannot be a key guesses nothing; counting it would only shut out whoever mistyped.
    if (!isKeyText(key)) return this.#malformed
    if (this.#isOwn(key) && !hasChecksum(key, this.#prefix)) return this.#malformed
    const hash = apiKeyHash(key)
    const entry = this.#environment.consumers.byKeyHash(hash)
    if (entry !== null && isSame(entry.hash, hash)) return this.#accept(exchange, entry)
    return this.#refuseUnknown(exchange)
  }

  #accept(exchange: Exchange, entry: KeyEntry): Verdict {
    if (entry.expiresAtMs <= this.#environment.clock.wallTime()) return this.#expired
    exchange.consumer = entry.consumer
    exchange.authentication = this.#authentication
    setConsumerHeaders(exchange, this.#forward, entry.consumer)
  }

  /**
   * Only what is unknown is limited: a key has more bits than could ever be guessed, and so nobody's
   * failures shut out who shares an address and has one.
   */
  #refuseUnknown(exchange: Exchange): Verdict {
    const mayTry = this.#failures.mayTry(exchange, null)
    if (typeof mayTry === 'boolean') return this.#counted(exchange, mayTry)
    return mayTry.then((allowed) => this.#counted(exchange, allowed))
  }

  #counted(exchange: Exchange, mayTry: boolean): Reply {
    if (!mayTry) return this.#failures.tooMany
    this.#failures.note(exchange, null)
    return this.#unknown
  }

  #isOwn(key: string): boolean {
    return key.startsWith(this.#prefix) && key.charCodeAt(this.#prefix.length) === UNDERSCORE
  }
}

const UNDERSCORE = 0x5f

/** Visible ASCII of a length that a key may have. */
function isKeyText(key: string): boolean {
  if (key.length === 0 || key.length > KEY_LENGTH_MAX) return false
  for (let index = 0; index < key.length; index++) {
    const code = key.charCodeAt(index)
    if (code <= 0x20 || code >= 0x7f) return false
  }
  return true
}

/** The map's own comparison stops at the first difference; this one has the last word. */
function isSame(known: string, given: string): boolean {
  return known.length === given.length && timingSafeEqual(Buffer.from(known), Buffer.from(given))
}
