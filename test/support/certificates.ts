// Certificates made on the spot for TLS tests, so that no key lies in the repository and none
// expires. A small DER writer suffices; no tool outside Node is needed.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate with its key, in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** What a certificate is made for. */
export interface CertificateRequest {
  readonly commonName: string
  /** DNS names and IPv4 addresses of the subject. */
  readonly names?: readonly string[]
  /** Validity relative to now, in days; negative ends make an expired one. */
  readonly fromDays?: number
  readonly untilDays?: number
}

/** A certificate authority that lives as long as a test. */
export class Authority {
  readonly cert: string
  readonly #commonName: string
  readonly #key: KeyObject

  constructor(commonName = 'Gatehouse test authority') {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#commonName = commonName
    this.#key = pair.privateKey
    const request = { commonName }
    this.cert = certificate(request, pair.publicKey, commonName, pair.privateKey, true)
  }

  /** Issues a certificate for servers and clients alike. */
  issue(request: CertificateRequest): Certificate {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return {
      cert: certificate(request, pair.publicKey, this.#commonName, this.#key, false),
      key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }
}

const SEQUENCE = 0x30
const SET = 0x31
const OID_COMMON_NAME = [0x55, 0x04, 0x03]
const OID_ECDSA_SHA256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]
const OID_SUBJECT_KEY_ID = [0x55, 0x1d, 0x0e]
const OID_SUBJECT_ALT_NAME = [0x55, 0x1d, 0x11]
const OID_BASIC_CONSTRAINTS = [0x55, 0x1d, 0x13]
const OID_KEY_USAGE = [0x55, 0x1d, 0x0f]

/** One DER value: tag, length, contents. */
function der(tag: number, ...contents: (Buffer | readonly number[])[]): Buffer {
  const body = Buffer.concat(contents.map((part) => Buffer.from(part)))
  const { length } = body
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), body])
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...bytes]), body])
}

function oid(bytes: readonly number[]): Buffer {
  return der(0x06, bytes)
}

function distinguishedName(commonName: string): Buffer {
  const value = der(0x0c, Buffer.from(commonName))
  return der(SEQUENCE, der(SET, der(SEQUENCE, oid(OID_COMMON_NAME), value)))
}

function utcTime(days: number): Buffer {
  const text = new Date(Date.now() + days * 86_400_000).toISOString()
  return der(0x17, Buffer.from(`${text.slice(2, 19).replace(/[-:T]/g, '')}Z`))
}

function extension(id: readonly number[], critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [der(0x01, [0xff])] : []
  return der(SEQUENCE, oid(id), ...flag, der(0x04, value))
}

function alternativeNames(names: readonly string[]): Buffer {
  const entries = names.map((name) =>
    /^[0-9.]+$/.test(name) ? der(0x87, name.split('.').map(Number)) : der(0x82, Buffer.from(name)),
  )
  return extension(OID_SUBJECT_ALT_NAME, false, der(SEQUENCE, ...entries))
}

function extensions(request: CertificateRequest, spki: Buffer, isAuthority: boolean): Buffer {
  const constraints = isAuthority ? der(SEQUENCE, der(0x01, [0xff])) : der(SEQUENCE)
  // An authority signs certificates (bit 5); the others sign handshakes (bit 0).
  const usage = isAuthority ? [0x02, 0x04] : [0x07, 0x80]
  const keyId = createHash('sha1').update(spki).digest()
  const all = [
    extension(OID_BASIC_CONSTRAINTS, true, constraints),
    extension(OID_KEY_USAGE, true, der(0x03, usage)),
    extension(OID_SUBJECT_KEY_ID, false, der(0x04, keyId)),
  ]
  if (request.names !== undefined) all.push(alternativeNames(request.names))
  return der(0xa3, der(SEQUENCE, ...all))
}

/** An X.509 v3 certificate (RFC 5280 4.1), signed with ECDSA over SHA-256. */
function certificate(
  request: CertificateRequest,
  publicKey: KeyObject,
  issuer: string,
  issuerKey: KeyObject,
  isAuthority: boolean,
): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const algorithm = der(SEQUENCE, oid(OID_ECDSA_SHA256))
  const serial = randomBytes(12)
  serial[0] = (serial[0]! & 0x3f) | 0x40
  const toBeSigned = der(
    SEQUENCE,
    der(0xa0, der(0x02, [2])),
    der(0x02, serial),
    algorithm,
    distinguishedName(issuer),
    der(SEQUENCE, utcTime(request.fromDays ?? -1), utcTime(request.untilDays ?? 2)),
    distinguishedName(request.commonName),
    spki,
    extensions(request, spki, isAuthority),
  )
  const signature = sign('sha256', toBeSigned, issuerKey)
  const whole = der(SEQUENCE, toBeSigned, algorithm, der(0x03, [0], signature))
  const base64 = whole.toString('base64').replace(/.{1,64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${base64}-----END CERTIFICATE-----\n`
}
