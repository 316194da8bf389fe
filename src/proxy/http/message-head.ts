// The head of a message as one latin1 string and the offsets of its fields: parsed once, forwarded
// as slices, and searched only when somebody asks.

/** What a field means to a gateway; see RFC 9110 7.6.1 for those that end here. */
export const FieldKind = {
  ordinary: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  /** Ends at this hop: Keep-Alive, Proxy-Connection and the like. */
  hopByHop: 5,
  /** Says where a request came from or went to: Forwarded, X-Forwarded-*, X-Real-IP, X-Original-URL. */
  forwarded: 6,
  via: 7,
  expect: 8,
  upgrade: 9,
  te: 10,
  trailer: 11,
  /** Date and Server of a response, which a gateway keeps. */
  date: 12,
  /** Taken out on arrival, as if it had never been sent: nobody sees it. */
  removed: 13,
} as const

/** Entries per field in `MessageHead.fields`. */
export const FIELD_STRIDE = 5

/** The fields of a message, by their offsets in `raw`. */
export class MessageHead {
  /** The whole head in latin1, start line and final empty line included. */
  raw: string
  /** Five numbers a field: name start, name end, value start, value end (OWS trimmed), kind. */
  fields: number[]
  /** Where the final empty line begins. */
  fieldsEnd: number
  /** Body length that Content-Length states, or -1. */
  contentLength: number
  isChunked: boolean
  /** Whether the sender lets the connection live on after this message. */
  keepAlive: boolean
  /** 0 or 1: the minor version of HTTP/1. */
  minorVersion: number
  /** True when at least one field must not be passed on as it is. */
  hasHopFields: boolean
  /** Lower-case options of Connection besides close, keep-alive, te and upgrade; null when none. */
  connectionOptions: string[] | null
  /** Whether Connection lists upgrade. */
  connectionUpgrade: boolean
  /** The value of Upgrade, or null. */
  upgrade: string | null

  constructor(raw: string) {
    this.raw = raw
    this.fields = []
    this.fieldsEnd = 0
    this.contentLength = -1
    this.isChunked = false
    this.keepAlive = true
    this.minorVersion = 1
    this.hasHopFields = false
    this.connectionOptions = null
    this.connectionUpgrade = false
    this.upgrade = null
  }

  /**
   * The value of a field by its lower-case name, or null. Repeated lines are joined with ', '
   * (RFC 9110 5.3), those of Cookie with '; '.
   */
  field(lowerName: string): string | null {
    const { raw, fields } = this
    let value: string | null = null
    for (let i = 0; i < fields.length; i += FIELD_STRIDE) {
      const start = fields[i]!
      if (fields[i + 1]! - start !== lowerName.length || !equalsFolded(raw, start, lowerName))
        continue
      if (fields[i + 4] === FieldKind.removed) continue
      const line = raw.slice(fields[i + 2], fields[i + 3])
      value = value === null ? line : value + (lowerName === 'cookie' ? '; ' : ', ') + line
    }
    return value
  }

  /** How many lines carry this field. */
  count(lowerName: string): number {
    let count = 0
    for (let i = 0; i < this.fields.length; i += FIELD_STRIDE) {
      const start = this.fields[i]!
      if (
        this.fields[i + 1]! - start === lowerName.length &&
        equalsFolded(this.raw, start, lowerName) &&
        this.fields[i + 4] !== FieldKind.removed
      )
        count++
    }
    return count
  }
}

/** The head of a request. */
export class RequestHead extends MessageHead {
  method: string
  /** The target in origin-form, or '*': what goes to the upstream unless a route rewrites it. */
  target: string
  /** Length of the path in `target`; the query follows. */
  pathLength: number
  /** What is doubtful about the path; see TargetFlag. */
  targetFlags: number
  /** The Host field as received, or ''. */
  host: string
  expectsContinue: boolean
  /** Whether the client takes trailers (TE: trailers). */
  takesTrailers: boolean

  constructor(raw: string) {
    super(raw)
    this.method = ''
    this.target = ''
    this.pathLength = 0
    this.targetFlags = 0
    this.host = ''
    this.expectsContinue = false
    this.takesTrailers = false
  }
}

/** The head of a response. */
export class ResponseHead extends MessageHead {
  status: number
  reason: string

  constructor(raw: string) {
    super(raw)
    this.status = 0
    this.reason = ''
  }
}

/** Doubts about a path that a route may allow or refuse. */
export const TargetFlag = { doubleSlash: 1, encodedPercent: 2, encodedSlash: 4 } as const

/** Whether `raw` holds `lower` at `start`, whatever the case of ASCII letters. */
export function equalsFolded(raw: string, start: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    const code = raw.charCodeAt(start + i)
    const want = lower.charCodeAt(i)
    if (code === want) continue
    if ((code | 0x20) !== want || want < 0x61 || want > 0x7a) return false
  }
  return true
}

/**
 * Whether `raw` holds a spelling of `lower` at `start`: as equalsFolded, and '-' stands for everything
 * that is neither letter nor digit. Services that hand headers on as environment variables, as CGI
 * does, turn all of it into '_'.
 */
export function equalsNormalized(raw: string, start: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    const code = raw.charCodeAt(start + i)
    const want = lower.charCodeAt(i)
    if (code === want) continue
    if (want === 0x2d ? isLetterOrDigit(code) : (code | 0x20) !== want || want < 0x61) return false
  }
  return true
}

function isLetterOrDigit(code: number): boolean {
  const lower = code | 0x20
  return (code >= 0x30 && code <= 0x39) || (lower >= 0x61 && lower <= 0x7a)
}
