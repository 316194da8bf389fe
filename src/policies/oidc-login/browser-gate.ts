// Lets browsers in by their sessions, and sends those without one to sign in.
import { createHash } from 'node:crypto'
import type { Authentication } from '../../proxy/pipeline/consumer.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment, Verdict } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { challenge } from '../challenge.ts'
import { ClaimReader, forwardIdentity } from '../claims.ts'
import { Seal } from '../sealed-value.ts'
import { CONSUMER_REFUSALS, TokenConsumers } from '../token-consumer.ts'
import { GatewayCookies } from './gateway-cookies.ts'
import { LoginFlow } from './login-flow.ts'
import { Provider } from './provider.ts'
import { claimsOf, openSession, type Session, sealSession } from './session.ts'
import { type Refreshed, SessionRefresh } from './session-refresh.ts'
import type { OidcLoginSettings } from './settings.ts'

/** Cookies of a request by the rest of their names. */
type Own = ReadonlyMap<string, string>

/** The policy on one route. */
export class BrowserGate {
  readonly #settings: OidcLoginSettings
  readonly #environment: PolicyEnvironment
  readonly #slot: number
  readonly #cookies: GatewayCookies
  readonly #seal: Seal
  readonly #reader: ClaimReader
  readonly #refresh: SessionRefresh
  readonly #flow: LoginFlow
  readonly #authentication: Authentication
  readonly #required: Reply
  readonly #unavailable: Reply
  readonly #consumers: TokenConsumers

  constructor(written: OidcLoginSettings, environment: PolicyEnvironment) {
    const { publicUrl, cookie, issuer, clientId, secret } = written
    const { clock, problem } = environment
    this.#settings = written
    this.#environment = environment
    this.#slot = environment.slot()
    this.#cookies = new GatewayCookies(cookie, publicUrl.startsWith('https:'))
    // A session is worth something only where the same provider would have given it.
    const purpose = `oidc-login ${JSON.stringify([issuer, clientId, publicUrl])}`
    this.#seal = new Seal(secret, `${purpose} session`)
    this.#reader = new ClaimReader(written.consumer, written.forward)
    const rules = {
      lifetimeMs: written.lifetime,
      refreshBeforeMs: written.refreshBefore,
      keepsAccessToken: written.forwardAccessToken,
    }
    const name = createHash('sha256').update(JSON.stringify(written)).digest('base64url')
    const provider = environment.keep(`provider ${name}`, () => {
      return new Provider({ ...written, timeoutMs: written.timeout }, clock)
    })
    this.#refresh = environment.keep(`refresh ${name}`, () => {
      const { places, log } = environment
      return new SessionRefresh({
        name,
        provider,
        rules,
        // The thread that refreshes may have to ask for metadata and keys as well.
        timeoutMs: 4 * written.timeout,
        environment: { clock, places },
        onFailure: (reason) =>
          log.warn({ reason }, 'the tokens of a session could not be refreshed'),
      })
    })
    this.#flow = new LoginFlow({
      settings: written,
      rules,
      environment,
      provider,
      cookies: this.#cookies,
      reader: this.#reader,
      sessionSeal: this.#seal,
      loginSeal: new Seal(secret, `${purpose} login`),
    })
    this.#authentication = Object.freeze({ stage: environment.stage.id, scheme: 'Cookie' })
    this.#unavailable = problem('login_unavailable')
    const trust = { isIssuerChecked: true, hasClients: false }
    this.#consumers = new TokenConsumers(written.consumer, trust, environment.consumers)
    this.#required = problem('login_required', {
      headers: { 'WWW-Authenticate': challenge('Cookie', {}), 'Cache-Control': 'no-store' },
    })
  }

  decide(exchange: Exchange): Verdict {
    const own = this.#cookies.ofRequest(exchange)
    if (exchange.path === this.#settings.callbackPath) return this.#flow.finish(exchange, own)
    const now = this.#environment.clock.wallTime()
    const sealed = this.#cookies.session(own)
    const session = sealed === null ? null : openSession(sealed, this.#seal, now)
    if (exchange.path === this.#settings.logoutPath) {
      return this.#flow.logOut(exchange, own, session?.idToken ?? null)
    }
    if (session === null) return this.#turnAway(exchange, own)
    if (now >= session.refreshAtMs) {
      return this.#refresh.refresh(session).then((result) => {
        return this.#afterRefresh(exchange, own, session, result)
      })
    }
    return this.#enter(exchange, own, session)
  }

  /** Gives the browser what `decide` has refreshed. */
  keepRefreshed(exchange: Exchange): void {
    const lines = exchange.slots[this.#slot]
    if (!Array.isArray(lines)) return
    for (const line of lines) exchange.addResponseHeader('Set-Cookie', line)
    // A cache in between must not hand one browser's session to another.
    exchange.setResponseHeader('Cache-Control', 'no-store')
  }

  #afterRefresh(exchange: Exchange, own: Own, session: Session, result: Refreshed): Verdict {
    if (result === 'over') return this.#turnAway(exchange, own)
    if (result === 'unavailable') {
      const isAlive = this.#environment.clock.wallTime() < session.tokensEndAtMs
      return isAlive ? this.#enter(exchange, own, session) : this.#unavailable
    }
    const lifeMs = result.endsAtMs - this.#environment.clock.wallTime()
    const sealed = sealSession(result, this.#seal)
    const lines = this.#cookies.keepSession(own, sealed, lifeMs)
    if (lines === null) return this.#turnAway(exchange, own)
    exchange.slots[this.#slot] = lines
    return this.#enter(exchange, own, result)
  }

  #enter(exchange: Exchange, own: Own, session: Session): Verdict {
    if (this.#environment.clock.wallTime() >= session.tokensEndAtMs) {
      return this.#turnAway(exchange, own)
    }
    const identity = this.#reader.identity(claimsOf(session.idToken))
    if (identity === null) return this.#turnAway(exchange, own)
    const consumer = this.#consumers.resolve(identity.consumer)
    // Signing in again would make nobody somebody else; signing out is open to all.
    if (typeof consumer === 'string') {
      return this.#environment.problem('forbidden', { detail: CONSUMER_REFUSALS[consumer] })
    }
    exchange.consumer = consumer
    exchange.authentication = this.#authentication
    this.#cookies.strip(exchange)
    forwardIdentity(exchange, identity)
    if (session.accessToken !== null) {
      exchange.setRequestHeader('Authorization', `Bearer ${session.accessToken}`)
    }
  }

  /** No session: whoever looks at a page signs in; a script is told that it needs to. */
  #turnAway(exchange: Exchange, own: Own): Verdict {
    if (this.#settings.optional) {
      this.#cookies.strip(exchange)
      return
    }
    return isNavigation(exchange) ? this.#flow.begin(exchange, own) : this.#required
  }
}

/** Whether a person waits for a page, who can be sent elsewhere and come back. */
function isNavigation(exchange: Exchange): boolean {
  if (exchange.method !== 'GET' && exchange.method !== 'HEAD') return false
  const mode = exchange.requestHeader('sec-fetch-mode')
  if (mode !== null && mode !== 'navigate') return false
  return exchange.requestHeader('accept')?.includes('text/html') === true
}
