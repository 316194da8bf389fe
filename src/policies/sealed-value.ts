// Values that a client keeps and can neither read nor change: what the gateway puts into its cookies.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + NONCE_BYTES

/** Characters that a secret must have at least. */
export const SEAL_SECRET_LENGTH_MIN = 32

/**
 * Seals with AES-256-GCM under keys derived (HKDF, RFC 5869) from secrets for one purpose; what was
 * sealed for one purpose opens for no other. The random nonces of one key suffice for 2^32 values.
 */
export class Seal {
  readonly #keys: readonly Buffer[]
  readonly #boundTo: Buffer

  /** @param secrets the first one seals, all of them open: a new one goes to the front. */
  constructor(secrets: readonly string[], purpose: string) {
    if (secrets.length === 0) throw new Error('a secret is needed')
    this.#boundTo = Buffer.from(`${VERSION} ${purpose}`)
    const info = `gatehouse sealed value ${VERSION} ${purpose}`
    this.#keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', info, 32)))
  }

  /** The text, sealed: letters, digits, `-` and `_`. */
  seal(text: string): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#keys[0]!, nonce)
    cipher.setAAD(this.#boundTo)
    const parts = [Buffer.from([VERSION]), nonce, cipher.update(text, 'utf8'), cipher.final()]
    return Buffer.concat([...parts, cipher.getAuthTag()]).toString('base64url')
  }

  /** The text that was sealed; null when it was not, or with another secret or purpose. */
  open(sealed: string): string | null {
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < HEAD_BYTES + TAG_BYTES || bytes[0] !== VERSION) return null
    for (const key of this.#keys) {
      const text = this.#decrypt(key, bytes)
      if (text !== null) return text
    }
    return null
  }

  #decrypt(key: Buffer, bytes: Buffer): string | null {
    const nonce = bytes.subarray(1, HEAD_BYTES)
    const end = bytes.length - TAG_BYTES
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(this.#boundTo)
    decipher.setAuthTag(bytes.subarray(end))
    try {
      const text = decipher.update(bytes.subarray(HEAD_BYTES, end))
      return Buffer.concat([text, decipher.final()]).toString('utf8')
    } catch {
      return null
    }
  }
}
