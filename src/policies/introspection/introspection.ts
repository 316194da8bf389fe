// Opaque tokens: whoever issued them is asked what they are worth (RFC 7662).
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import type { Authentication } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy, type PolicyEnvironment, type Verdict } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { challenge, realmSetting, resourceMetadataSetting } from '../challenge.ts'
import { ClaimReader, consumerSetting, forwardIdentity, forwardSetting } from '../claims.ts'
import { clientAuthenticationSetting } from '../client-authentication.ts'
import { CredentialFailures, failuresSetting } from '../credential-failure.ts'
import { allowHttpSetting, OutboundRequests, outboundUrlProblem } from '../outbound-request.ts'
import { CONSUMER_REFUSALS, TokenConsumers, tokenCredentials } from '../token-consumer.ts'
import { isTokenText, TokenSource, tokenSourceSetting } from '../token-source.ts'
import { type Finding, nameOfToken, type Refusal } from './answer-cache.ts'
import { Introspector } from './introspector.ts'

const audience = z.string().min(1, 'an audience is needed')

const shape = z.strictObject({
  url: z.string().describe('The introspection endpoint of the authorization server.'),
  clientId: z.string().min(1).describe('Who the gateway is there.'),
  clientSecret: z.string().min(1).describe('Its secret: `${env:NAME}` or `${file:path}`.'),
  clientAuthentication: clientAuthenticationSetting(),
  issuer: z
    .string()
    .min(1)
    .optional()
    .describe('The `iss` that the answer must have, to the letter. Not looked at if left out.'),
  audience: z
    .union([audience.transform((text): string[] => [text]), z.array(audience).min(1)], {
      error: 'expected an audience, or a list of them',
    })
    .optional()
    .describe('Whom the token must be meant for (`aud`); of a list, one is enough.'),
  unchecked: z
    .array(z.literal('aud'))
    .default([])
    .describe('`[aud]`: tokens for any audience are accepted.'),
  tolerance: durationMs({ max: 300_000 })
    .prefault('5s')
    .describe('How far the clocks of the server and the gateway may differ.'),
  cacheFor: durationMs({ max: 3_600_000 })
    .prefault('1m')
    .describe(
      'How long an answer about a good token is believed, at most until it expires. So long may a ' +
        'withdrawn token work on.',
    ),
  cacheRefusalsFor: durationMs({ max: 300_000 })
    .prefault('10s')
    .describe('How long a token that was refused is refused without asking.'),
  remember: byteSize({ max: 1024 ** 3 })
    .prefault('16mb')
    .describe('Memory per thread for answers about good tokens. `0b` asks every time.'),
  from: tokenSourceSetting().describe(
    'Where the token is: `authorization`, `{ cookie: NAME }` or `{ header: NAME }`.',
  ),
  strip: z.boolean().default(false).describe('Whether the token is kept from the service.'),
  consumer: consumerSetting().describe('Which claims of the answer say who calls.'),
  forward: forwardSetting().describe('Headers for the service, each with the claim it gets.'),
  optional: z
    .boolean()
    .default(false)
    .describe(
      'Whether a request without a token goes on, with nobody known. A bad token never does.',
    ),
  sizeMax: byteSize({ min: 256, max: 65_536 }).prefault('8kb').describe('The longest token.'),
  timeout: durationMs({ min: 1, max: 60_000 })
    .prefault('2s')
    .describe('For the whole answer of the server, waiting for a free call included.'),
  answerBytes: byteSize({ min: 256, max: 1_048_576 })
    .prefault('64kb')
    .describe('The longest answer that is read.'),
  concurrency: z
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('Calls at a time, per thread; four times as many tokens may wait for one.'),
  allowHttp: allowHttpSetting(),
  failures: failuresSetting(),
  realm: realmSetting().describe('The realm of the challenge.'),
  resourceMetadata: resourceMetadataSetting().describe(
    'URL of the metadata of this API (RFC 9728), named in the challenge.',
  ),
})

const settings = shape.superRefine(({ url, allowHttp, audience, unchecked }, ctx) => {
  const refuse = (path: string, message: string): void =>
    ctx.addIssue({ code: 'custom', path: [path], message })
  const problem = outboundUrlProblem(url, allowHttp)
  if (problem !== null) refuse('url', problem)
  if (audience === undefined && unchecked.length === 0) {
    refuse('audience', 'say whom tokens are for, or that it does not matter: `unchecked: [aud]`')
  }
  if (audience !== undefined && unchecked.length > 0) {
    refuse('unchecked', 'with an `audience`, `aud` is checked')
  }
})

type Settings = z.output<typeof settings>

/** Each reason as clients are told it. */
const REFUSALS: Readonly<Record<Refusal, string>> = {
  repeated: 'The request carries more than one token.',
  malformed: 'This cannot be a token.',
  too_large: 'The token is too large.',
  inactive: 'The token is not active.',
  expired: 'The token has expired.',
  not_yet_valid: 'The token is not valid yet.',
  malformed_claim: 'A claim of the token has the wrong type.',
  wrong_issuer: 'The token comes from another issuer.',
  wrong_audience: 'The token is meant for another audience.',
  no_subject: 'The token does not say who calls.',
  bound_elsewhere: 'The token is bound to its holder in a way that is not checked here.',
  ...CONSUMER_REFUSALS,
}

export const introspection = definePolicy({
  name: 'introspection',
  summary: 'Lets in who presents a token that the authorization server calls active.',
  settings,
  offline: false,
  provides: ['consumer'],
  identityHeaders: ({ forward }) => Object.keys(forward),
  credentialPlaces: ({ from }) => {
    if (from === 'authorization') return ['header:authorization']
    return 'cookie' in from ? [`cookie:${from.cookie}`] : [`header:${from.header.toLowerCase()}`]
  },
  credentials: ({ issuer, consumer }) =>
    tokenCredentials(consumer, issuer === undefined ? [] : [issuer]),
  examples: [
    {
      url: 'https://id.example/introspect',
      clientId: 'gateway',
      clientSecret: 'a-secret',
      audience: 'shop',
    },
    {
      url: 'https://id.example/introspect',
      clientId: 'gateway',
      clientSecret: 'a-secret',
      clientAuthentication: 'post',
      issuer: 'https://id.example/',
      unchecked: ['aud'],
      cacheFor: '10s',
      consumer: { id: 'username' },
      forward: { 'x-user': 'username', 'x-client': 'client_id' },
      strip: true,
    },
  ],
  create(written, environment) {
    const gate = new IntrospectionGate(written, environment)
    return { onRequest: (exchange) => gate.decide(exchange) }
  },
})

class IntrospectionGate {
  readonly #settings: Settings
  readonly #source: TokenSource
  readonly #introspector: Introspector
  readonly #failures: CredentialFailures
  readonly #consumers: TokenConsumers
  readonly #authentication: Authentication
  readonly #missing: Reply
  readonly #unavailable: Reply
  readonly #refusals: Readonly<Record<string, Reply>>

  constructor(written: Settings, environment: PolicyEnvironment) {
    const { realm = null, resourceMetadata: resource_metadata = null } = written
    const { problem } = environment
    this.#settings = written
    this.#source = new TokenSource(written.from)
    this.#introspector = introspectorFor(written, environment)
    this.#failures = new CredentialFailures(written.failures, environment)
    const trust = { isIssuerChecked: written.issuer !== undefined, hasClients: true }
    this.#consumers = new TokenConsumers(written.consumer, trust, environment.consumers)
    this.#authentication = Object.freeze({ stage: environment.stage.id, scheme: 'Bearer' })
    this.#unavailable = problem('introspection_unavailable')
    this.#missing = problem('token_missing', {
      headers: { 'WWW-Authenticate': challenge('Bearer', { realm, resource_metadata }) },
    })
    this.#refusals = Object.fromEntries(
      Object.entries(REFUSALS).map(([reason, detail]) => {
        const error = { error: 'invalid_token', error_description: detail }
        const line = challenge('Bearer', { realm, ...error, resource_metadata })
        const headers = { 'WWW-Authenticate': line }
        return [reason, problem('token_invalid', { detail, extensions: { reason }, headers })]
      }),
    )
  }

  /** Decides about a request. Nothing is waited for if the token is known. */
  decide(exchange: Exchange): Verdict {
    const finding = this.#source.find(exchange)
    if (finding === 'none') return this.#settings.optional ? undefined : this.#missing
    if (finding !== 'found') return this.#guessed(exchange, finding)
    const { token } = this.#source
    if (token.length > this.#settings.sizeMax) return this.#guessed(exchange, 'too_large')
    if (!isTokenText(token)) return this.#guessed(exchange, 'malformed')
    const name = nameOfToken(token)
    const known = this.#introspector.known(name)
    if (known !== null) return this.#apply(exchange, known)
    const mayTry = this.#failures.mayTry(exchange, null)
    if (mayTry === true) return this.#ask(exchange, token, name)
    if (mayTry === false) return this.#failures.tooMany
    return mayTry.then((may) => (may ? this.#ask(exchange, token, name) : this.#failures.tooMany))
  }

  async #ask(exchange: Exchange, token: string, name: string): Promise<void | Reply> {
    const found = await this.#introspector.ask(token, name)
    if (found === null) return this.#unavailable
    if (found.refusal === 'inactive') this.#failures.note(exchange, null)
    return this.#apply(exchange, found)
  }

  #apply(exchange: Exchange, { identity, refusal }: Finding): void | Reply {
    if (identity === null) return this.#refusals[refusal!]
    const consumer = this.#consumers.resolve(identity.consumer)
    if (typeof consumer === 'string') return this.#refusals[consumer]
    exchange.consumer = consumer
    exchange.authentication = this.#authentication
    forwardIdentity(exchange, identity)
    if (this.#settings.strip) this.#source.strip(exchange)
  }

  /** The answer to what nobody who had a token would send. */
  #guessed(exchange: Exchange, reason: Refusal): Reply {
    this.#failures.note(exchange, null)
    return this.#refusals[reason]!
  }
}

/** Routes with the same settings share one, and so does the next configuration. */
function introspectorFor(written: Settings, environment: PolicyEnvironment): Introspector {
  const key = createHash('sha256').update(JSON.stringify(written)).digest('base64url')
  return environment.keep(key, () => {
    const requests = new OutboundRequests({
      timeoutMs: written.timeout,
      bodyBytesMax: written.answerBytes,
      concurrencyMax: written.concurrency,
      queueMax: written.concurrency * 4,
      allowHttp: written.allowHttp,
    })
    const { clock, log } = environment
    return new Introspector(
      {
        ...written,
        issuer: written.issuer ?? null,
        audiences: written.audience ?? null,
        toleranceMs: written.tolerance,
        activeForMs: written.cacheFor,
        inactiveForMs: written.cacheRefusalsFor,
        bytesMax: written.remember,
      },
      { requests, reader: new ClaimReader(written.consumer, written.forward), clock, log },
    )
  })
}
