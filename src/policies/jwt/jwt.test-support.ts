// An issuer for tests: keys, tokens by jose, and tokens that no library would make.
import { createHmac, type KeyObject, sign } from 'node:crypto'
import { exportJWK, type GenerateKeyPairOptions, generateKeyPair, type JWK, SignJWT } from 'jose'
import type { Reply } from '../../proxy/pipeline/reply.ts'

export const ISSUER = 'https://id.example/'
export const AUDIENCE = 'shop'
/** Where the manual clock of a test environment begins, in seconds. */
export const NOW = 1_700_000_000

/** A key pair with the name of its public half. */
export interface TestKey {
  readonly alg: string
  readonly kid: string
  readonly privateKey: CryptoKey
  /** The public half, with `kid`, `alg` and `use`. */
  readonly jwk: JWK
}

/** A new key pair. */
export async function testKey(
  alg: string,
  kid: string,
  options: GenerateKeyPairOptions = {},
): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true, ...options })
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

/** The claims of a good token, with changes; undefined takes one out. */
export function claimsWith(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { iss: ISSUER, aud: AUDIENCE, sub: 'ada', iat: NOW, exp: NOW + 300, ...changes }
}

/** A token made by jose. */
export function token(
  key: Pick<TestKey, 'alg' | 'kid'> & { readonly privateKey: CryptoKey | Uint8Array },
  changes: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const { alg, kid, privateKey } = key
  return new SignJWT(claimsWith(changes) as never)
    .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
    .sign(privateKey)
}

/** Base64url of a text, or of a value as JSON. */
export function encoded(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString(
    'base64url',
  )
}

/** A token of any parts, signed by HMAC or with a private key; header and claims may be texts. */
export function rawToken(
  header: unknown,
  claims: unknown,
  key: KeyObject | string,
  hash: string | null = 'sha256',
): string {
  const data = `${encoded(header)}.${encoded(claims)}`
  const signature =
    typeof key === 'string'
      ? createHmac(hash!, key).update(data).digest()
      : sign(hash, Buffer.from(data), key)
  return `${data}.${signature.toString('base64url')}`
}

/** The code and reason of an answer. */
export function outcome(verdict: unknown): string {
  if (verdict === undefined) return 'passes'
  const { code, reason } = JSON.parse((verdict as Reply).body.toString()) as Record<string, string>
  return reason === undefined ? code! : `${code}: ${reason}`
}

/** The challenges of an answer. */
export function challengesOf(verdict: unknown): string[] {
  const lines = (verdict as Reply).fieldLines.split('\r\n')
  const prefix = 'WWW-Authenticate: '
  return lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length))
}
