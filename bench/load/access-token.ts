// The access token of a benchmark: RS256, made anew for every run, valid for as long as it takes.
import { generateKeyPairSync, sign } from 'node:crypto'

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** What the token says, and the gateway checks. */
export const issuer = 'https://id.shop.example/'
export const audience = 'shop'

/** The key that verifies it, as PEM. */
export const publicKey: string = keys.publicKey.export({ type: 'spki', format: 'pem' }).toString()

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** A token of a usual size, good for a day. */
export function accessToken(): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: issuer,
    aud: audience,
    sub: 'b3b6c1de-8a70-4f4e-9d4c-5f0f2a6d7c11',
    iat: now,
    exp: now + 86_400,
    scope: 'orders:read orders:write profile',
    groups: ['customers', 'beta'],
  }
  const signed = `${encode({ alg: 'RS256', typ: 'JWT', kid: 'bench' })}.${encode(claims)}`
  return `${signed}.${sign('sha256', Buffer.from(signed), keys.privateKey).toString('base64url')}`
}
