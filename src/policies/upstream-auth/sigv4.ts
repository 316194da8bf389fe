// Signature version 4 of AWS: what is signed, and with which key. Knows nothing of exchanges.
import { createHash, createHmac } from 'node:crypto'

/** Who signs, for what. */
export interface SigningSettings {
  readonly region: string
  readonly service: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** What is signed. */
export interface SignedRequest {
  readonly method: string
  /** Path and query as they are sent. */
  readonly target: string
  /** Lower-case names with their values in latin1, Host among them, each name once. */
  readonly headers: ReadonlyMap<string, string>
  /** SHA-256 of the body in hex, or `UNSIGNED-PAYLOAD`. */
  readonly payload: string
  /** `20150830T123600Z`. */
  readonly date: string
}

/** SHA-256 of nothing. */
export const EMPTY_PAYLOAD = hash('')
/** For services that take a body without its hash: S3, over TLS. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'

const ALGORITHM = 'AWS4-HMAC-SHA256'

/** A moment as it is signed. @param wallTimeMs milliseconds since 1970. */
export function signingDate(wallTimeMs: number): string {
  return `${new Date(wallTimeMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
}

/** Signs for one service in one region. */
export class Signer {
  readonly #settings: SigningSettings
  #day = ''
  #key: Buffer = Buffer.alloc(0)

  constructor(settings: SigningSettings) {
    this.#settings = settings
  }

  /** The value of `Authorization`. */
  authorization(request: SignedRequest): string {
    const { region, service, accessKeyId } = this.#settings
    const day = request.date.slice(0, 8)
    const scope = `${day}/${region}/${service}/aws4_request`
    const names = [...request.headers.keys()].sort()
    const canonical = canonicalRequest(request, names, service)
    const text = `${ALGORITHM}\n${request.date}\n${scope}\n${hash(canonical)}`
    const signature = hmac(this.#keyOf(day), text).toString('hex')
    return (
      `${ALGORITHM} Credential=${accessKeyId}/${scope}, ` +
      `SignedHeaders=${names.join(';')}, Signature=${signature}`
    )
  }

  /** A key serves for a day. */
  #keyOf(day: string): Buffer {
    if (day === this.#day) return this.#key
    const { region, service, secretAccessKey } = this.#settings
    const ofDay = hmac(`AWS4${secretAccessKey}`, day)
    this.#key = hmac(hmac(hmac(ofDay, region), service), 'aws4_request')
    this.#day = day
    return this.#key
  }
}

function canonicalRequest(
  { method, target, headers, payload }: SignedRequest,
  names: readonly string[],
  service: string,
): string {
  const mark = target.indexOf('?')
  const path = mark === -1 ? target : target.slice(0, mark)
  const query = mark === -1 ? '' : target.slice(mark + 1)
  let fields = ''
  for (const name of names) {
    fields += `${name}:${headers
      .get(name)!
      .trim()
      .replace(/[ \t]+/g, ' ')}\n`
  }
  const isS3 = service === 's3'
  return `${method}\n${isS3 ? objectPath(path) : plainPath(path)}\n${canonicalQuery(query, isS3)}\n${fields}\n${names.join(';')}\n${payload}`
}

/** S3 signs the name of the object, encoded once; its slashes stay, also those that came encoded. */
function objectPath(path: string): string {
  return encode(decode(path)).replaceAll('%2F', '/')
}

/** All others sign the path as it is sent, encoded once more, without empty segments. */
function plainPath(path: string): string {
  return encode(path.replace(/\/{2,}/g, '/')).replaceAll('%2F', '/')
}

/** Parameters in the order of their encoded names, then values. S3 looks at the first of a name only. */
function canonicalQuery(query: string, isS3: boolean): string {
  const parameters = new Map<string, string[]>()
  for (const part of query.split('&')) {
    const equals = part.indexOf('=')
    const name = encode(decode(equals === -1 ? part : part.slice(0, equals)))
    if (name === '') continue
    const value = equals === -1 ? '' : encode(decode(part.slice(equals + 1)))
    const values = parameters.get(name)
    if (values === undefined) parameters.set(name, [value])
    else if (!isS3) values.push(value)
  }
  const written: string[] = []
  for (const name of [...parameters.keys()].sort()) {
    for (const value of parameters.get(name)!.sort()) written.push(`${name}=${value}`)
  }
  return written.join('&')
}

/** Percent-decodes to one character per byte; a plus is a space, as the services read it. */
function decode(text: string): string {
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
}

/** Percent-encodes all but letters, digits and `-._~` (RFC 3986 2.3); one character is one byte. */
function encode(bytes: string): string {
  return bytes.replace(
    /[^A-Za-z0-9\-._~]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

/** SHA-256 in hex, of one character per byte. */
function hash(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest()
}
