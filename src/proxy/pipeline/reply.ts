// An answer that Gatehouse gives itself, prepared as far as possible before any request comes.
import { type ErrorCode, errorKind } from '../../errors.ts'

/** A complete answer. Immutable, so one instance serves every request that earns it. */
export class Reply {
  readonly status: number
  /** Field lines, each ended by CRLF; without Content-Length, Date and Connection. */
  readonly fieldLines: string
  readonly body: Buffer
  /** The catalogue's code when the reply reports a failure, else null. */
  readonly code: ErrorCode | null

  constructor(status: number, fieldLines: string, body: Buffer, code: ErrorCode | null) {
    this.status = status
    this.fieldLines = fieldLines
    this.body = body
    this.code = code
  }
}

/** Seconds that a client should wait when nothing says how long a shortage lasts. */
const RETRY_AFTER = '1'
const NO_BODY = Buffer.alloc(0)
/** What a byte may stand in: 1, a field value; 3, a field name as well. Looked up for every field set. */
const BYTES = byteKinds()

/**
 * One field line with its CRLF.
 * @throws TypeError when name or value could not be sent (RFC 9110 5.1, 5.5).
 */
export function fieldLine(name: string, value: string): string {
  if (name === '' || !consistsOf(name, 3)) {
    throw new TypeError(`"${name}" is not a valid header name`)
  }
  if (!consistsOf(value, 1)) {
    throw new TypeError(`the value of "${name}" holds a byte that no header may carry`)
  }
  return `${name}: ${value}\r\n`
}

function byteKinds(): Uint8Array {
  const kinds = new Uint8Array(256)
  for (let byte = 0; byte < 256; byte++) {
    const character = String.fromCharCode(byte)
    if (/[\t\x20-\x7e\x80-\xff]/.test(character)) kinds[byte] = 1
    if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character)) kinds[byte] = 3
  }
  return kinds
}

function consistsOf(text: string, kind: number): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 0xff || BYTES[code]! < kind) return false
  }
  return true
}

/** Builds a reply. Header names are sent as written. Strings are sent as UTF-8. */
export function reply(
  status: number,
  headers: Readonly<Record<string, string | readonly string[]>> = {},
  body: string | Buffer = NO_BODY,
): Reply {
  let lines = ''
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string') lines += fieldLine(name, value)
    else for (const item of value) lines += fieldLine(name, item)
  }
  return new Reply(status, lines, typeof body === 'string' ? Buffer.from(body) : body, null)
}

/** What a problem reply may say beyond its code. */
export interface ProblemDetails {
  /** One sentence for this occurrence; shown to the client. */
  readonly detail?: string
  /** Further members of the problem document (RFC 9457 3.2). */
  readonly extensions?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
}

const failures = new Map<ErrorCode, Reply>()

/** The reply to a failure of which no more is said than its code, and `detail` if that is not null. */
export function failure(code: ErrorCode, detail: string | null): Reply {
  if (detail !== null) return problem(code, { detail })
  const known = failures.get(code)
  if (known !== undefined) return known
  const made = problem(code)
  failures.set(code, made)
  return made
}

/** The reply to a failure: problem+json (RFC 9457) with its Proxy-Status (RFC 9209). */
export function problem(code: ErrorCode, details: ProblemDetails = {}): Reply {
  const { status, title, proxyStatus } = errorKind(code)
  const document = {
    type: `urn:gatehouse:error:${code}`,
    title,
    status,
    code,
    ...(details.detail === undefined ? {} : { detail: details.detail }),
    ...details.extensions,
  }
  const built = reply(
    status,
    {
      'Content-Type': 'application/problem+json',
      'Proxy-Status': `gatehouse; error=${proxyStatus}; details="${code}"`,
      ...(status === 503 ? { 'Retry-After': RETRY_AFTER } : {}),
      ...details.headers,
    },
    JSON.stringify(document),
  )
  return new Reply(status, built.fieldLines, built.body, code)
}
