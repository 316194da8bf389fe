// An access token for a service, got by client credentials (RFC 6749 4.4): one fetch for all who wait,
// a new token before the old one ends, and the old one kept while it lives, whatever fails.
import type { Clock } from '../../lib/clock.ts'
import type { Kept } from '../../proxy/pipeline/policy.ts'
import { type ClientCredentials, clientRequest, jsonObject } from '../client-authentication.ts'
import type { OutboundRequests } from '../outbound-request.ts'
import { isTokenText } from '../token-source.ts'

/** What is asked for, and when again. */
export interface SupplySettings extends ClientCredentials {
  readonly tokenUrl: string
  readonly scope?: string | undefined
  readonly audience?: string | undefined
  /** How long before its end a token is replaced; at most half its life. */
  readonly refreshBeforeMs: number
  /** The life of a token that does not tell it. */
  readonly lifetimeMs: number
}

/** Told about fetches that fail. */
export type OnFailure = (reason: string) => void

/** After a fetch that failed, or that a refused token caused, none begins for as long. */
const PAUSE_MS = 1_000
/** A service that refuses every token must not make every request fetch one. */
const REFUSED_PAUSE_MS = 10_000
const TOKEN_LENGTH_MAX = 16_384
/** RFC 6749 5.1 sets no bound; this one keeps sums exact. */
const LIFETIME_MS_MAX = 365 * 86_400_000

/** The token of one client at one server. */
export class TokenSupply implements Kept {
  readonly #settings: SupplySettings
  readonly #requests: OutboundRequests
  readonly #clock: Clock
  readonly #onFailure: OnFailure
  #token: string | null = null
  /** Monotonic, like all below. */
  #endsAt = 0
  #refreshAt = 0
  #notBefore = 0
  #refusedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | null = null

  constructor(
    settings: SupplySettings,
    requests: OutboundRequests,
    clock: Clock,
    onFailure: OnFailure,
  ) {
    this.#settings = settings
    this.#requests = requests
    this.#clock = clock
    this.#onFailure = onFailure
  }

  /** The token, or null while there is none that lives. Begins to fetch a new one when it is time to. */
  current(): string | null {
    const now = this.#clock.now()
    if (now < this.#refreshAt) return this.#token
    if (this.#token === null || now >= this.#endsAt) return null
    this.#refresh(now)
    return this.#token
  }

  /** Waits for a token. Null when the fetch that this began or joined failed, or must not begin yet. */
  async wait(): Promise<string | null> {
    this.#refresh(this.#clock.now())
    await this.#fetching
    return this.current()
  }

  /** The service has refused this token: the next request has a new one fetched. */
  refused(token: string): void {
    const now = this.#clock.now()
    if (token !== this.#token || now - this.#refusedAt < REFUSED_PAUSE_MS) return
    this.#refusedAt = now
    this.#refreshAt = now
  }

  dispose(): void {
    this.#requests.dispose()
  }

  #refresh(now: number): void {
    if (this.#fetching !== null || now < this.#notBefore) return
    this.#fetching = this.#fetch()
      .catch((error: Error) => {
        this.#notBefore = this.#clock.now() + PAUSE_MS
        this.#onFailure(error.message)
      })
      .finally(() => {
        this.#fetching = null
      })
  }

  /** @throws Error whose message may be logged. */
  async #fetch(): Promise<void> {
    const { tokenUrl, scope, audience, refreshBeforeMs, lifetimeMs } = this.#settings
    const form = {
      grant_type: 'client_credentials',
      ...(scope === undefined ? {} : { scope }),
      ...(audience === undefined ? {} : { audience }),
    }
    const asked = this.#clock.now()
    const answer = await this.#requests.send(clientRequest(tokenUrl, form, this.#settings, true))
    if (answer.status !== 200) throw new Error(`the token endpoint answered ${answer.status}`)
    const found = jsonObject(answer.body)
    const { access_token: token, token_type: type, expires_in: seconds } = found ?? {}
    if (typeof token !== 'string' || token.length > TOKEN_LENGTH_MAX || !isTokenText(token)) {
      throw new Error('the token endpoint answered without a usable token')
    }
    if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') {
      throw new Error('the token is not a bearer token')
    }
    const life = lifetimeOf(seconds, lifetimeMs)
    this.#token = token
    this.#endsAt = asked + life
    this.#refreshAt = asked + life - Math.min(refreshBeforeMs, life / 2)
  }
}

/** Some servers write the number as a text. */
function lifetimeOf(seconds: unknown, otherwiseMs: number): number {
  if (seconds === undefined || seconds === null) return otherwiseMs
  const ms =
    Number(typeof seconds === 'number' || typeof seconds === 'string' ? seconds : Number.NaN) *
    1_000
  if (!(ms > 0)) throw new Error('the token has no life left')
  return Math.min(ms, LIFETIME_MS_MAX)
}
