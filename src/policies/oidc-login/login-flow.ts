// The way to the provider and back: authorization code with PKCE, and signing out.
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { ErrorCode } from '../../errors.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import type { ClaimReader } from '../claims.ts'
import type { Seal } from '../sealed-value.ts'
import type { GatewayCookies } from './gateway-cookies.ts'
import { type Provider, ProviderFailure, type Tokens } from './provider.ts'
import { claimsOf, newSession, type SessionRules, sealSession } from './session.ts'
import type { OidcLoginSettings } from './settings.ts'

/** What a flow works with. */
export interface LoginParts {
  readonly settings: OidcLoginSettings
  readonly rules: SessionRules
  readonly environment: PolicyEnvironment
  readonly provider: Provider
  readonly cookies: GatewayCookies
  readonly reader: ClaimReader
  readonly sessionSeal: Seal
  readonly loginSeal: Seal
}

/** A sign-in on its way, as its cookie holds it: state, nonce, verifier, target, end. */
type Login = readonly [string, string, string, string, number]

type Own = ReadonlyMap<string, string>

/** A longer target is not come back to: it has to fit into a cookie. */
const TARGET_LENGTH_MAX = 2_000
const RANDOM_BYTES = 32

/** The flow of one route. */
export class LoginFlow {
  readonly #parts: LoginParts
  readonly #redirectUri: string
  readonly #unavailable: Reply
  readonly #crossSite: Reply

  constructor(parts: LoginParts) {
    const { settings, environment } = parts
    this.#parts = parts
    this.#redirectUri = settings.publicUrl + settings.callbackPath
    this.#unavailable = environment.problem('login_unavailable')
    this.#crossSite = environment.problem('csrf_refused')
  }

  /** Sends a browser to sign in, and remembers in it where it wanted to go. */
  async begin(exchange: Exchange, own: Own): Promise<Reply> {
    const { settings, provider, cookies, loginSeal, environment } = this.#parts
    const state = random()
    const nonce = random()
    const verifier = random()
    let url: URL
    try {
      url = await provider.loginUrl({
        redirectUri: this.#redirectUri,
        scope: settings.scopes.join(' '),
        state,
        nonce,
        verifier,
        others: settings.parameters,
      })
    } catch (error) {
      return this.#failed(error)
    }
    const target = exchange.target.length > TARGET_LENGTH_MAX ? '/' : exchange.target
    const endsAtMs = environment.clock.wallTime() + settings.loginWithin
    const login: Login = [state, nonce, verifier, target, endsAtMs]
    const sealed = loginSeal.seal(JSON.stringify(login))
    return this.#redirect(url.href, [
      ...cookies.keepLogin(own, state, sealed, settings.loginWithin),
      ...cookies.endSession(own),
    ])
  }

  /** A browser comes back from the provider. */
  async finish(exchange: Exchange, own: Own): Promise<Reply> {
    const { settings, rules, provider, cookies, reader, sessionSeal, environment } = this.#parts
    if (exchange.method !== 'GET') return this.#refused('This address takes GET only.')
    const url = new URL(settings.publicUrl + exchange.target)
    const states = url.searchParams.getAll('state')
    const login = states.length === 1 ? this.#login(own, states[0]!) : null
    if (login === null) {
      return this.#refused('This browser has not begun this sign-in, or took too long for it.')
    }
    const [state, nonce, verifier, target] = login
    const used = cookies.remove(cookies.loginName(state))
    let tokens: Tokens
    try {
      tokens = await provider.redeem(url, { state, nonce, verifier })
    } catch (error) {
      return this.#failed(error, used)
    }
    if (tokens.idToken === null || reader.identity(claimsOf(tokens.idToken)) === null) {
      return this.#refused('The identity provider does not say who this is.', used)
    }
    const session = newSession(tokens, rules, environment.clock.wallTime())
    if (session === null) return this.#refused('The access token cannot be forwarded.', used)
    const sealed = sealSession(session, sessionSeal)
    const kept = cookies.keepSession(own, sealed, rules.lifetimeMs)
    if (kept === null) return this.#refused('The tokens are too large for a session.', used)
    // In full, for a target may begin with two slashes.
    return this.#redirect(settings.publicUrl + target, [used, ...kept])
  }

  /** Ends the session here and at the provider. */
  async logOut(exchange: Exchange, own: Own, idToken: string | null): Promise<Reply> {
    const { settings, provider, cookies, environment } = this.#parts
    if (exchange.requestHeader('sec-fetch-site') === 'cross-site') return this.#crossSite
    const backTo = settings.publicUrl + settings.afterLogout
    let url: URL | null = null
    try {
      url = await provider.logoutUrl(idToken, backTo)
    } catch (error) {
      const reason = (error as Error).message
      environment.log.warn({ reason }, 'somebody signed out here, but not at the identity provider')
    }
    return this.#redirect(url?.href ?? backTo, cookies.endSession(own))
  }

  #login(own: Own, state: string): Login | null {
    const { cookies, loginSeal, environment } = this.#parts
    const sealed = own.get(cookies.loginName(state))
    const text = sealed === undefined ? null : loginSeal.open(sealed)
    if (text === null) return null
    const login = JSON.parse(text) as Login
    const isAlive = environment.clock.wallTime() < login[4]
    return isAlive && isSame(login[0], state) ? login : null
  }

  #redirect(to: string, cookies: readonly string[]): Reply {
    return this.#parts.environment.reply(302, {
      Location: to,
      'Set-Cookie': cookies,
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
    })
  }

  #failed(error: unknown, used?: string): Reply {
    if (!(error instanceof ProviderFailure)) throw error
    const { log } = this.#parts.environment
    log.warn({ reason: error.message }, 'somebody could not sign in')
    // The code was not used up: trying again with the same one may work.
    if (error.isUnavailable) return this.#unavailable
    return this.#refused(`The identity provider said: ${error.message}.`, used)
  }

  #refused(detail: string, used?: string): Reply {
    const code: ErrorCode = 'login_failed'
    const headers = { 'Cache-Control': 'no-store', 'Set-Cookie': used === undefined ? [] : [used] }
    return this.#parts.environment.problem(code, { detail, headers })
  }
}

function random(): string {
  return randomBytes(RANDOM_BYTES).toString('base64url')
}

function isSame(known: string, given: string): boolean {
  return known.length === given.length && timingSafeEqual(Buffer.from(known), Buffer.from(given))
}
