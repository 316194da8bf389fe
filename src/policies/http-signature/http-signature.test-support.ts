// Signs requests for tests, by the text of RFC 9421 rather than by the code under test.
import { constants, createHmac, type KeyObject, sign } from 'node:crypto'
import type { Algorithm } from './verification-key.ts'

/** A request, and how it is signed. */
export interface SignOptions {
  readonly method: string
  readonly target: string
  /** The fields besides Host, which is shop.example. */
  readonly fields: readonly string[]
  readonly scheme?: 'http' | 'https'
  readonly host?: string
  readonly algorithm: Algorithm
  /** A private key, or a shared secret in base64. */
  readonly key: KeyObject | string
  readonly keyId: string | null
  /** In seconds since 1970; null for none. */
  readonly created: number | null
  /** Component names, with their parameters after a semicolon. */
  readonly components?: readonly string[]
  /** Further parameters, each with its semicolon. */
  readonly extra?: string
  readonly label?: string
  /** The label in Signature, where it is another. */
  readonly valueLabel?: string
}

/** The lines Signature-Input and Signature. */
export function signedFields(options: SignOptions): string[] {
  const { created, keyId, extra = '', label = 'sig', valueLabel = label } = options
  const components = options.components ?? ['@method', '@target-uri']
  const identifiers = components.map((name) => {
    const semicolon = name.indexOf(';')
    return semicolon < 0 ? `"${name}"` : `"${name.slice(0, semicolon)}"${name.slice(semicolon)}`
  })
  const parameters =
    `(${identifiers.join(' ')})` +
    (created === null ? '' : `;created=${created}`) +
    (keyId === null ? '' : `;keyid="${keyId}"`) +
    extra
  const lines = components.map((name, index) => `${identifiers[index]}: ${valueFor(name, options)}`)
  const base = [...lines, `"@signature-params": ${parameters}`].join('\n')
  const value = signatureOf(Buffer.from(base, 'latin1'), options).toString('base64')
  return [`Signature-Input: ${label}=${parameters}`, `Signature: ${valueLabel}=:${value}:`]
}

function valueFor(name: string, options: SignOptions): string {
  const { method, target, scheme = 'http', host = 'shop.example', fields } = options
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  const derived: Record<string, string> = {
    '@method': method,
    '@target-uri': `${scheme}://${host}${target}`,
    '@authority': host,
    '@scheme': scheme,
    '@request-target': target,
    '@path': path,
    '@query': question < 0 ? '?' : target.slice(question),
  }
  const found = derived[name]
  if (found !== undefined) return found
  const lines = fields.filter((line) => line.toLowerCase().startsWith(`${name}:`))
  return lines.map((line) => line.slice(name.length + 1).trim()).join(', ')
}

function signatureOf(base: Buffer, { algorithm, key }: SignOptions): Buffer {
  if (typeof key === 'string') {
    return createHmac('sha256', Buffer.from(key, 'base64')).update(base).digest()
  }
  if (algorithm === 'ed25519') return sign(null, base, key)
  if (algorithm === 'rsa-v1_5-sha256') return sign('sha256', base, key)
  if (algorithm === 'rsa-pss-sha512') {
    return sign('sha512', base, {
      key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: 64,
    })
  }
  const hash = algorithm === 'ecdsa-p384-sha384' ? 'sha384' : 'sha256'
  return sign(hash, base, { key, dsaEncoding: 'ieee-p1363' })
}
