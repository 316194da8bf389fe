// A reader of HTTP/1.1 messages that forgives nothing, for tests: what Gatehouse writes must be
// readable by the strictest peer there is. It is slow and small on purpose and shares no code with
// the gateway.

/** A field line as it stood on the wire: name, value. */
export type FieldLine = readonly [name: string, value: string]

/** How the length of a body was told. */
export type Framing = 'none' | 'length' | 'chunked' | 'close'

/** A message that was not what RFC 9112 says. */
export class WireError extends Error {}

/** What requests and responses have in common. */
export class Message {
  /** The head exactly as received, with its empty line; latin1. */
  readonly head: string
  readonly lines: readonly FieldLine[]
  readonly framing: Framing
  readonly body: Buffer
  /** Payload sizes of the chunks as they were cut; empty unless chunked. */
  readonly chunkSizes: readonly number[]
  readonly trailers: readonly FieldLine[]

  constructor(head: string, lines: readonly FieldLine[], body: BodyRead) {
    this.head = head
    this.lines = lines
    this.framing = body.framing
    this.body = body.body
    this.chunkSizes = body.chunkSizes
    this.trailers = body.trailers
  }

  /** All values of a field, in order. */
  all(name: string): string[] {
    const wanted = name.toLowerCase()
    return this.lines.filter((line) => line[0].toLowerCase() === wanted).map((line) => line[1])
  }

  /** The only value of a field, or null. */
  header(name: string): string | null {
    const values = this.all(name)
    if (values.length > 1) throw new WireError(`${name} stands ${values.length} times`)
    return values[0] ?? null
  }

  /** The body as text, latin1 so that every byte shows. */
  get text(): string {
    return this.body.toString('latin1')
  }

  /** The body as the JSON document that it is. */
  get json(): unknown {
    return JSON.parse(this.body.toString('utf8'))
  }
}

/** A response read from the wire. */
export class WireResponse extends Message {
  readonly version: string
  readonly status: number
  readonly reason: string
  /** The 1xx answers that came before it. */
  readonly interim: readonly WireResponse[]

  constructor(
    head: string,
    lines: readonly FieldLine[],
    body: BodyRead,
    interim: readonly WireResponse[],
  ) {
    super(head, lines, body)
    const match = /^(HTTP\/1\.[01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\r\n/.exec(head)
    if (match === null)
      throw new WireError(`bad status line: ${JSON.stringify(head.slice(0, 100))}`)
    this.version = match[1]!
    this.status = Number(match[2])
    this.reason = match[3]!
    this.interim = interim
  }

  /** The document of an answer that Gatehouse made itself. */
  get problem(): Record<string, unknown> {
    const type = this.header('content-type')
    if (type !== 'application/problem+json') {
      throw new WireError(`${this.status} is of type ${type}: ${this.text.slice(0, 200)}`)
    }
    return this.json as Record<string, unknown>
  }
}

/** A request read from the wire. */
export class WireRequest extends Message {
  readonly method: string
  readonly target: string
  readonly version: string

  constructor(head: string, lines: readonly FieldLine[], body: BodyRead) {
    super(head, lines, body)
    const match = /^([!#-'*+\-.^-z|~0-9A-Z]+) ([\x21-\x7e]+) (HTTP\/1\.[01])\r\n/.exec(head)
    if (match === null)
      throw new WireError(`bad request line: ${JSON.stringify(head.slice(0, 100))}`)
    this.method = match[1]!
    this.target = match[2]!
    this.version = match[3]!
  }
}

interface BodyRead {
  readonly framing: Framing
  readonly body: Buffer
  readonly chunkSizes: readonly number[]
  readonly trailers: readonly FieldLine[]
  /** Where the message ended in the buffer. */
  readonly end: number
}

/** A message and where the next one begins. */
export interface Read<T> {
  readonly message: T
  readonly end: number
}

const EMPTY = Buffer.alloc(0)
const FIELD = /^([!#-'*+\-.^-z|~0-9A-Z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/

/** Field lines of a block that ends with its empty line. */
function fieldLines(block: string): FieldLine[] {
  const lines: FieldLine[] = []
  for (const line of block.split('\r\n').slice(0, -2)) {
    const match = FIELD.exec(line)
    if (match === null) throw new WireError(`bad field line: ${JSON.stringify(line)}`)
    lines.push([match[1]!, match[2]!])
  }
  return lines
}

/** The head that begins at `start`, or null while it is incomplete. */
function headAt(bytes: Buffer, start: number): string | null {
  const end = bytes.indexOf('\r\n\r\n', start, 'latin1')
  if (end < 0) return null
  return bytes.toString('latin1', start, end + 4)
}

function linesOf(head: string): FieldLine[] {
  return fieldLines(head.slice(head.indexOf('\r\n') + 2))
}

function values(lines: readonly FieldLine[], name: string): string[] {
  return lines.filter((line) => line[0].toLowerCase() === name).map((line) => line[1])
}

function chunkedBody(bytes: Buffer, start: number): BodyRead | null {
  const parts: Buffer[] = []
  const chunkSizes: number[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1')
    if (lineEnd < 0) return null
    const line = bytes.toString('latin1', at, lineEnd)
    if (!/^[0-9a-fA-F]{1,13}$/.test(line)) {
      throw new WireError(`bad chunk size line: ${JSON.stringify(line.slice(0, 60))}`)
    }
    const size = Number.parseInt(line, 16)
    at = lineEnd + 2
    if (size === 0) break
    if (bytes.length < at + size + 2) return null
    if (bytes.toString('latin1', at + size, at + size + 2) !== '\r\n') {
      throw new WireError('a chunk is longer than its size')
    }
    parts.push(bytes.subarray(at, at + size))
    chunkSizes.push(size)
    at += size + 2
  }
  let trailers = '\r\n'
  if (bytes.length < at + 2) return null
  if (bytes.toString('latin1', at, at + 2) === '\r\n') at += 2
  else {
    const block = headAt(bytes, at)
    if (block === null) return null
    trailers = block
    at += block.length
  }
  const body = Buffer.concat(parts)
  return { framing: 'chunked', body, chunkSizes, trailers: fieldLines(`${trailers}`), end: at }
}

function noBody(end: number): BodyRead {
  return { framing: 'none', body: EMPTY, chunkSizes: [], trailers: [], end }
}

/** The framing that the field lines declare, or null for none; RFC 9112 6.3 without any repair. */
function declared(lines: readonly FieldLine[]): { length: number } | 'chunked' | null {
  const lengths = values(lines, 'content-length')
  const codings = values(lines, 'transfer-encoding')
  if (codings.length > 0) {
    if (lengths.length > 0) throw new WireError('Content-Length beside Transfer-Encoding')
    if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked') {
      throw new WireError(`Transfer-Encoding: ${codings.join(' | ')}`)
    }
    return 'chunked'
  }
  if (lengths.length === 0) return null
  if (lengths.length > 1 || !/^[0-9]{1,16}$/.test(lengths[0]!)) {
    throw new WireError(`Content-Length: ${lengths.join(' | ')}`)
  }
  return { length: Number(lengths[0]) }
}

function lengthBody(bytes: Buffer, start: number, length: number): BodyRead | null {
  if (bytes.length < start + length) return null
  const body = bytes.subarray(start, start + length)
  return { framing: 'length', body, chunkSizes: [], trailers: [], end: start + length }
}

/** Reads one request at `start`; null while it is incomplete. */
export function readRequest(bytes: Buffer, start: number): Read<WireRequest> | null {
  const head = headAt(bytes, start)
  if (head === null) return null
  const lines = linesOf(head)
  const framing = declared(lines)
  const after = start + head.length
  let body: BodyRead | null
  if (framing === null) body = noBody(after)
  else if (framing === 'chunked') body = chunkedBody(bytes, after)
  else body = lengthBody(bytes, after, framing.length)
  if (body === null) return null
  return { message: new WireRequest(head, lines, body), end: body.end }
}

/**
 * Reads one final response, with the interim ones before it; null while it is incomplete.
 * `ended` says that the peer sends no more, which is how a body without a length ends.
 */
export function readResponse(
  bytes: Buffer,
  start: number,
  method: string,
  ended: boolean,
): Read<WireResponse> | null {
  const interim: WireResponse[] = []
  let at = start
  for (;;) {
    const head = headAt(bytes, at)
    if (head === null) return null
    const lines = linesOf(head)
    const after = at + head.length
    const status = Number(head.slice(9, 12))
    if (status >= 100 && status < 200 && status !== 101) {
      if (declared(lines) !== null) throw new WireError(`a ${status} with framing fields`)
      interim.push(new WireResponse(head, lines, noBody(after), []))
      at = after
      continue
    }
    const body = responseBody(bytes, after, lines, method, status, ended)
    if (body === null) return null
    return { message: new WireResponse(head, lines, body, interim), end: body.end }
  }
}

function responseBody(
  bytes: Buffer,
  after: number,
  lines: readonly FieldLine[],
  method: string,
  status: number,
  ended: boolean,
): BodyRead | null {
  const framing = declared(lines)
  if (status === 101 || status === 204) {
    if (framing !== null) throw new WireError(`a ${status} with framing fields`)
    return noBody(after)
  }
  if (method === 'HEAD' || status === 304) return noBody(after)
  if (framing === 'chunked') return chunkedBody(bytes, after)
  if (framing !== null) return lengthBody(bytes, after, framing.length)
  if (!ended) return null
  const body = bytes.subarray(after)
  return { framing: 'close', body, chunkSizes: [], trailers: [], end: bytes.length }
}
