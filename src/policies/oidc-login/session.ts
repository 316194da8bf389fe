// What a session is, and how it is written into a cookie. Nothing of it is kept in the gateway.
import type { Claims } from '../claims.ts'
import type { Seal } from '../sealed-value.ts'
import { isTokenText } from '../token-source.ts'
import type { Tokens } from './provider.ts'

/** Somebody who has signed in. Times are wall clock, ms since 1970. */
export interface Session {
  /** Signing in again is needed then, whatever the tokens say. */
  readonly endsAtMs: number
  /** The tokens should be refreshed then; never, if they outlive the session. */
  readonly refreshAtMs: number
  /** The tokens have run out then, and must have been refreshed. */
  readonly tokensEndAtMs: number
  readonly idToken: string
  /** Null where nothing needs it. */
  readonly accessToken: string | null
  readonly refreshToken: string | null
}

/** How sessions are made. */
export interface SessionRules {
  readonly lifetimeMs: number
  /** How long before their end tokens are refreshed; at most half their life. */
  readonly refreshBeforeMs: number
  readonly keepsAccessToken: boolean
}

/** The session of somebody who has just signed in; null when its tokens cannot be used. */
export function newSession(tokens: Tokens, rules: SessionRules, now: number): Session | null {
  if (tokens.idToken === null) return null
  return sessionOf(tokens, tokens.idToken, tokens.refreshToken, now + rules.lifetimeMs, rules, now)
}

/**
 * The session with fresh tokens; null when they cannot be used, or are somebody else's (OpenID Connect
 * Core 12.2). Its end stays where it is.
 */
export function refreshedSession(
  session: Session,
  tokens: Tokens,
  rules: SessionRules,
  now: number,
): Session | null {
  const { idToken, refreshToken } = tokens
  if (idToken !== null && claimsOf(idToken).sub !== claimsOf(session.idToken).sub) return null
  const keptRefresh = refreshToken ?? session.refreshToken
  return sessionOf(tokens, idToken ?? session.idToken, keptRefresh, session.endsAtMs, rules, now)
}

/** Where the provider does not tell the life of the access token, the session has its own only. */
function sessionOf(
  { accessToken, lifetimeMs }: Tokens,
  idToken: string,
  refreshToken: string | null,
  endsAtMs: number,
  { refreshBeforeMs, keepsAccessToken }: SessionRules,
  now: number,
): Session | null {
  if (keepsAccessToken && !isTokenText(accessToken)) return null
  const tokensEndAtMs = lifetimeMs === null ? endsAtMs : Math.min(endsAtMs, now + lifetimeMs)
  const beforeMs = Math.min(refreshBeforeMs, (tokensEndAtMs - now) / 2)
  const isRefreshed = refreshToken !== null && tokensEndAtMs < endsAtMs
  return {
    endsAtMs,
    refreshAtMs: isRefreshed ? tokensEndAtMs - beforeMs : endsAtMs,
    tokensEndAtMs,
    idToken,
    accessToken: keepsAccessToken ? accessToken : null,
    refreshToken,
  }
}

/** The claims of an ID token that was verified when it came. */
export function claimsOf(idToken: string): Claims {
  return JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString('utf8'))
}

type Written = readonly [number, number, number, string, string | null, string | null]

export function sealSession(session: Session, seal: Seal): string {
  const { endsAtMs, refreshAtMs, tokensEndAtMs, idToken, accessToken, refreshToken } = session
  const written: Written = [
    endsAtMs,
    refreshAtMs,
    tokensEndAtMs,
    idToken,
    accessToken,
    refreshToken,
  ]
  return seal.seal(JSON.stringify(written))
}

/** The session, or null: it is not ours, or over. */
export function openSession(sealed: string, seal: Seal, now: number): Session | null {
  const text = seal.open(sealed)
  if (text === null) return null
  const [endsAtMs, refreshAtMs, tokensEndAtMs, idToken, accessToken, refreshToken] = JSON.parse(
    text,
  ) as Written
  if (now >= endsAtMs) return null
  return { endsAtMs, refreshAtMs, tokensEndAtMs, idToken, accessToken, refreshToken }
}
