// Signature algorithms of JOSE (RFC 7518 3.1, RFC 8037 3.1, RFC 9864 2), and how node:crypto verifies each.
import {
  constants,
  createHmac,
  type KeyObject,
  timingSafeEqual,
  type VerifyKeyObjectInput,
  verify,
} from 'node:crypto'

/** What a key must be to be used with an algorithm. */
export type KeyFamily = 'oct' | 'rsa' | 'ec' | 'ed25519' | 'ed448'

/** One algorithm. */
export interface SignatureAlgorithm {
  readonly families: readonly KeyFamily[]
  /** Digest; null where the algorithm has its own. */
  readonly hash: string | null
  /** The curve as node:crypto names it; null if there is no choice. */
  readonly curve: string | null
  readonly isPss: boolean
  /** Bytes of digest and, for HMAC, the least that a secret may have (RFC 7518 3.2). */
  readonly digestBytes: number
}

function hmac(bits: number): SignatureAlgorithm {
  return algorithm(['oct'], bits)
}

function algorithm(
  families: readonly KeyFamily[],
  bits: number | null,
  curve: string | null = null,
  isPss = false,
): SignatureAlgorithm {
  const hash = bits === null ? null : `sha${bits}`
  return { families, hash, curve, isPss, digestBytes: (bits ?? 0) / 8 }
}

/** Every algorithm by its name; there is no `none`. */
export const ALGORITHMS = {
  HS256: hmac(256),
  HS384: hmac(384),
  HS512: hmac(512),
  RS256: algorithm(['rsa'], 256),
  RS384: algorithm(['rsa'], 384),
  RS512: algorithm(['rsa'], 512),
  PS256: algorithm(['rsa'], 256, null, true),
  PS384: algorithm(['rsa'], 384, null, true),
  PS512: algorithm(['rsa'], 512, null, true),
  ES256: algorithm(['ec'], 256, 'prime256v1'),
  ES384: algorithm(['ec'], 384, 'secp384r1'),
  ES512: algorithm(['ec'], 512, 'secp521r1'),
  EdDSA: algorithm(['ed25519', 'ed448'], null),
  Ed25519: algorithm(['ed25519'], null),
  Ed448: algorithm(['ed448'], null),
} as const satisfies Record<string, SignatureAlgorithm>

/** The name of an algorithm. */
export type AlgorithmName = keyof typeof ALGORITHMS

/** All names, HMAC first. */
export const ALGORITHM_NAMES = Object.keys(ALGORITHMS) as AlgorithmName[]

/** Those with a public key. */
export const PUBLIC_KEY_ALGORITHMS: readonly AlgorithmName[] = ALGORITHM_NAMES.filter(
  (name) => !name.startsWith('HS'),
)

/** Least size of an RSA key (RFC 7518 3.3), in bits. */
const RSA_BITS_MIN = 2048

/** A key made ready for one algorithm. */
export class Verifier {
  readonly #hash: string | null
  readonly #input: KeyObject | VerifyKeyObjectInput
  /** Null unless this is HMAC. */
  readonly #secret: KeyObject | null

  /** Whether it verifies by a shared secret: then `signed` says more with less work. */
  get isSecret(): boolean {
    return this.#secret !== null
  }

  constructor(key: KeyObject, name: AlgorithmName) {
    const { hash, isPss } = ALGORITHMS[name]
    this.#hash = hash
    this.#secret = key.type === 'secret' ? key : null
    const { asymmetricKeyType: type } = key
    if (type === 'ec') this.#input = { key, dsaEncoding: 'ieee-p1363' }
    else if (isPss) {
      const saltLength = constants.RSA_PSS_SALTLEN_DIGEST
      this.#input = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
    } else this.#input = key
  }

  /**
   * Whether a token was signed with this secret.
   * @param end where its signed part ends, and its signature begins after one more character.
   */
  signed(token: string, end: number): boolean {
    const hmac = createHmac(this.#hash!, this.#secret!).update(token.slice(0, end), 'latin1')
    return isSameText(hmac.digest('base64url'), token, end + 1)
  }

  /** Whether this is the signature of the data. Never throws. */
  verify(data: Buffer, signature: Buffer): boolean {
    try {
      if (this.#secret === null) return verify(this.#hash, data, this.#input, signature)
      const digest = createHmac(this.#hash!, this.#secret).update(data).digest()
      return digest.length === signature.length && timingSafeEqual(digest, signature)
    } catch {
      return false
    }
  }
}

/** Whether the text goes on like this; takes as long for every text of a length. */
function isSameText(expected: string, text: string, start: number): boolean {
  const { length } = expected
  if (text.length - start !== length) return false
  let difference = 0
  for (let index = 0; index < length; index++) {
    difference |= expected.charCodeAt(index) ^ text.charCodeAt(start + index)
  }
  return difference === 0
}

/** The algorithms that fit a key, by what it is. Empty for a key that verifies nothing safely. */
export function algorithmsOf(key: KeyObject): AlgorithmName[] {
  const family = familyOf(key)
  return ALGORITHM_NAMES.filter((name) => {
    const { families, curve, isPss, digestBytes }: SignatureAlgorithm = ALGORITHMS[name]
    if (family === null || !families.includes(family)) return false
    if (key.type === 'secret') return key.symmetricKeySize! >= digestBytes
    const { namedCurve } = key.asymmetricKeyDetails ?? {}
    if (curve !== null) return curve === namedCurve
    return key.asymmetricKeyType !== 'rsa-pss' || isPss
  })
}

function familyOf(key: KeyObject): KeyFamily | null {
  if (key.type === 'secret') return 'oct'
  const { asymmetricKeyType: type } = key
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (type === 'rsa' || type === 'rsa-pss') {
    if (modulusLength < RSA_BITS_MIN || publicExponent <= 2n) return null
    // rsa-pss keys cannot be exported in this format, and no token made by hardware came with one.
    return type === 'rsa' && hasRocaModulus(key) ? null : 'rsa'
  }
  return type === 'ec' || type === 'ed25519' || type === 'ed448' ? type : null
}

/** Primes whose residues tell moduli of the Infineon library (CVE-2017-15361) from others. */
const ROCA_PRIMES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157]
const ROCA_GENERATOR = 65_537

/** Whether the primes of the key were made so that they can be found: modulo small primes, all are powers of 65537. */
function hasRocaModulus(key: KeyObject): boolean {
  const { n = '' } = key.export({ format: 'jwk' })
  const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`)
  return ROCA_PRIMES.every((prime) => {
    const residue = Number(modulus % BigInt(prime))
    let power = 1
    do {
      if (power === residue) return true
      power = (power * ROCA_GENERATOR) % prime
    } while (power !== 1)
    return false
  })
}
