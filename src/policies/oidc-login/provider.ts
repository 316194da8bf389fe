// The OpenID provider: its metadata, and everything the gateway asks it.
import { createHash } from 'node:crypto'
import * as client from 'openid-client'
import type { Clock } from '../../lib/clock.ts'
import type { Kept } from '../../proxy/pipeline/policy.ts'
import { OutboundFailure, OutboundRequests } from '../outbound-request.ts'

/** Which provider, and who the gateway is there. */
export interface ProviderSettings {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly clientAuthentication: 'basic' | 'post'
  readonly timeoutMs: number
  readonly allowHttp: boolean
}

/** What a browser is sent to the provider with, beside what is the same every time. */
export interface LoginParameters {
  readonly redirectUri: string
  readonly scope: string
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly others: Readonly<Record<string, string>>
}

/** What the provider gave, checked. */
export interface Tokens {
  /** Null when a refresh brought none. */
  readonly idToken: string | null
  readonly accessToken: string
  readonly refreshToken: string | null
  /** The life of the access token; null when the provider does not tell it. */
  readonly lifetimeMs: number | null
}

/** The provider did not do what was asked. The message may be logged. */
export class ProviderFailure extends Error {
  /** Whether it could not be asked at all, or is out of order: another time it may. */
  readonly isUnavailable: boolean

  constructor(isUnavailable: boolean, message: string) {
    super(message)
    this.isUnavailable = isUnavailable
  }
}

const ANSWER_BYTES_MAX = 256 * 1024
const METADATA_LIFE_MS = 3_600_000
/** After metadata could not be fetched, nobody tries for as long. */
const PAUSE_MS = 1_000
const CALLS_MAX = 16
const WAITING_MAX = 128
const TOLERANCE_S = 5

/** One provider, asked on behalf of one client. */
export class Provider implements Kept {
  readonly #settings: ProviderSettings
  readonly #clock: Clock
  readonly #requests: OutboundRequests
  #configuration: client.Configuration | null = null
  #staleAt = 0
  #notBefore = Number.NEGATIVE_INFINITY
  #discovering: Promise<void> | null = null
  #failure = 'it was not asked yet'

  constructor(settings: ProviderSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
    this.#requests = new OutboundRequests({
      timeoutMs: settings.timeoutMs,
      bodyBytesMax: ANSWER_BYTES_MAX,
      concurrencyMax: CALLS_MAX,
      queueMax: WAITING_MAX,
      allowHttp: settings.allowHttp,
    })
  }

  /** Where a browser signs in. @throws ProviderFailure */
  async loginUrl(parameters: LoginParameters): Promise<URL> {
    const { redirectUri, scope, state, nonce, verifier, others } = parameters
    const configuration = await this.#configured()
    return client.buildAuthorizationUrl(configuration, {
      ...others,
      redirect_uri: redirectUri,
      scope,
      state,
      nonce,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    })
  }

  /** Exchanges the code with which a browser came back to `url`. @throws ProviderFailure */
  async redeem(
    url: URL,
    { state, nonce, verifier }: Pick<LoginParameters, 'state' | 'nonce' | 'verifier'>,
  ): Promise<Tokens> {
    const configuration = await this.#configured()
    try {
      const answer = await client.authorizationCodeGrant(configuration, url, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      })
      return tokensOf(answer)
    } catch (error) {
      throw failureOf(error)
    }
  }

  /** @throws ProviderFailure */
  async refresh(refreshToken: string): Promise<Tokens> {
    const configuration = await this.#configured()
    try {
      return tokensOf(await client.refreshTokenGrant(configuration, refreshToken))
    } catch (error) {
      throw failureOf(error)
    }
  }

  /** Where a browser signs out; null if the provider has no such place. @throws ProviderFailure */
  async logoutUrl(idToken: string | null, backTo: string): Promise<URL | null> {
    const configuration = await this.#configured()
    if (configuration.serverMetadata().end_session_endpoint === undefined) return null
    return client.buildEndSessionUrl(configuration, {
      post_logout_redirect_uri: backTo,
      ...(idToken === null ? {} : { id_token_hint: idToken }),
    })
  }

  dispose(): void {
    this.#requests.dispose()
  }

  /** Old metadata serve while new ones are fetched, and when they cannot be. */
  async #configured(): Promise<client.Configuration> {
    const now = this.#clock.now()
    const isStale = this.#configuration === null || now >= this.#staleAt
    if (isStale && this.#discovering === null && now >= this.#notBefore) {
      this.#discovering = this.#discover().finally(() => {
        this.#discovering = null
      })
    }
    if (this.#configuration === null) await this.#discovering
    if (this.#configuration === null) throw new ProviderFailure(true, this.#failure)
    return this.#configuration
  }

  /** Never rejects. */
  async #discover(): Promise<void> {
    const { issuer, clientId, clientSecret, clientAuthentication } = this.#settings
    const authentication =
      clientAuthentication === 'basic'
        ? client.ClientSecretBasic(clientSecret)
        : client.ClientSecretPost(clientSecret)
    const metadata = { client_secret: clientSecret, [client.clockTolerance]: TOLERANCE_S }
    // Signatures of ID tokens are checked although they come over TLS: it costs one fetch of the keys.
    const execute = [client.enableNonRepudiationChecks]
    // Whether clear text is allowed is decided for each call, by the rules for all calls.
    if (issuer.startsWith('http:')) execute.push(client.allowInsecureRequests)
    try {
      this.#configuration = await client.discovery(
        new URL(issuer),
        clientId,
        metadata,
        authentication,
        { [client.customFetch]: (url, options) => this.#fetch(url, options), execute },
      )
      this.#staleAt = this.#clock.now() + METADATA_LIFE_MS
    } catch (error) {
      this.#notBefore = this.#clock.now() + PAUSE_MS
      this.#failure = `its metadata: ${failureOf(error).message}`
    }
  }

  async #fetch(url: string, options: client.CustomFetchOptions): Promise<Response> {
    const { method, headers, body } = options
    const answer = await this.#requests.send({
      url,
      method: method === 'POST' ? 'POST' : 'GET',
      headers,
      ...(body === undefined || body === null ? {} : { body: String(body) }),
      isRepeatable: method === 'GET',
    })
    const { status } = answer
    if (status >= 500) throw new OutboundFailure('unreachable', `it answered ${status}`)
    const hasBody = status !== 204 && status !== 205 && status !== 304
    return new Response(hasBody ? new Uint8Array(answer.body) : null, {
      status,
      headers: answer.headers,
    })
  }
}

function tokensOf(answer: client.TokenEndpointResponse): Tokens {
  const { id_token, access_token, refresh_token, expires_in } = answer
  return {
    idToken: id_token ?? null,
    accessToken: access_token,
    refreshToken: refresh_token ?? null,
    lifetimeMs: expires_in === undefined ? null : expires_in * 1_000,
  }
}

/** The library wraps what went wrong; of what the provider wrote only its error code is kept. */
function failureOf(error: unknown): ProviderFailure {
  let cause: unknown = error
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    if (cause instanceof OutboundFailure) return new ProviderFailure(true, cause.message)
    cause = cause.cause
  }
  const { error: code, code: kind, name } = error as Record<string, unknown>
  const word = typeof code === 'string' && /^[\w.-]{1,64}$/.test(code) ? code : String(kind ?? name)
  return new ProviderFailure(false, word)
}
