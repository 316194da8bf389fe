// A key that signatures are verified with, and the one algorithm it is for (RFC 9421 3.3).
import {
  constants,
  createHmac,
  createPublicKey,
  type KeyObject,
  timingSafeEqual,
  verify,
} from 'node:crypto'

/** The algorithms of RFC 9421 6.2.2. */
export const ALGORITHMS = [
  'hmac-sha256',
  'ed25519',
  'ecdsa-p256-sha256',
  'ecdsa-p384-sha384',
  'rsa-pss-sha512',
  'rsa-v1_5-sha256',
] as const

export type Algorithm = (typeof ALGORITHMS)[number]

const SECRET_BYTES_MIN = 16
const RSA_BITS_MIN = 2048
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/
const PSS_SALT_BYTES = 64

/** One key. */
export class VerificationKey {
  readonly algorithm: Algorithm
  readonly #secret: Buffer | null
  readonly #key: KeyObject | null

  /**
   * @param text PEM of a public key, or base64 of a shared secret.
   * @throws Error that says what is wrong, without any of the key.
   */
  constructor(algorithm: Algorithm, text: string) {
    this.algorithm = algorithm
    this.#secret = algorithm === 'hmac-sha256' ? secretOf(text) : null
    this.#key = algorithm === 'hmac-sha256' ? null : publicKeyOf(algorithm, text)
  }

  /** Whether the signature is this key's over these bytes. */
  verify(signed: Buffer, signature: Buffer): boolean {
    if (this.#secret !== null) {
      const expected = createHmac('sha256', this.#secret).update(signed).digest()
      return expected.length === signature.length && timingSafeEqual(expected, signature)
    }
    try {
      return this.#verify(this.#key!, signed, signature)
    } catch {
      return false
    }
  }

  #verify(key: KeyObject, signed: Buffer, signature: Buffer): boolean {
    switch (this.algorithm) {
      case 'ed25519':
        return verify(null, signed, key, signature)
      case 'ecdsa-p256-sha256':
        return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
      case 'ecdsa-p384-sha384':
        return verify('sha384', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
      case 'rsa-pss-sha512': {
        const padding = constants.RSA_PKCS1_PSS_PADDING
        return verify('sha512', signed, { key, padding, saltLength: PSS_SALT_BYTES }, signature)
      }
      case 'rsa-v1_5-sha256':
        return verify('sha256', signed, { key, padding: constants.RSA_PKCS1_PADDING }, signature)
      default:
        return false
    }
  }
}

function secretOf(text: string): Buffer {
  if (!BASE64.test(text)) throw new Error('the shared secret is not base64')
  const secret = Buffer.from(text, 'base64')
  if (secret.length < SECRET_BYTES_MIN) {
    throw new Error(`the shared secret has fewer than ${SECRET_BYTES_MIN} bytes`)
  }
  return secret
}

function publicKeyOf(algorithm: Algorithm, text: string): KeyObject {
  if (text.includes('PRIVATE KEY')) throw new Error('this is a private key; give the public one')
  let key: KeyObject
  try {
    key = createPublicKey(text)
  } catch {
    throw new Error('this is no public key in PEM')
  }
  if (!fits(algorithm, key)) throw new Error(`this key is not one for ${algorithm}`)
  return key
}

function fits(algorithm: Algorithm, key: KeyObject): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  const isStrong = (details?.modulusLength ?? 0) >= RSA_BITS_MIN
  switch (algorithm) {
    case 'ed25519':
      return type === 'ed25519'
    case 'ecdsa-p256-sha256':
      return type === 'ec' && details?.namedCurve === 'prime256v1'
    case 'ecdsa-p384-sha384':
      return type === 'ec' && details?.namedCurve === 'secp384r1'
    case 'rsa-pss-sha512':
      return (type === 'rsa' || type === 'rsa-pss') && isStrong
    case 'rsa-v1_5-sha256':
      return type === 'rsa' && isStrong
    default:
      return false
  }
}
