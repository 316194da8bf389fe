// The bytes of one question for SRV records and of its answer (RFC 1035 4, RFC 2782): node's own call
// does not tell how long an answer may be kept.

/** One place where a service is, as the name server has it. */
export interface SrvRecord {
  /** Without the dot at its end; '' is the root: there is no such service. */
  readonly target: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

/** What a name server answered. */
export type SrvMessage =
  | { readonly kind: 'records'; readonly records: readonly SrvRecord[]; readonly ttlMs: number }
  /** The whole answer comes over TCP only. */
  | { readonly kind: 'truncated' }
  /** Named as in node:dns: ENOTFOUND, ENODATA, ESERVFAIL, EREFUSED, EBADRESP. */
  | { readonly kind: 'failed'; readonly code: string }

const HEAD_BYTES = 12
const TYPE_SRV = 33
const CLASS_IN = 1
const NAME_LENGTH_MAX = 253
const LABEL_LENGTH_MAX = 63
const LABEL = /^[a-z0-9_-]+$/
const RCODE_CODES: Readonly<Record<number, string>> = {
  1: 'EFORMERR',
  2: 'ESERVFAIL',
  3: 'ENOTFOUND',
  4: 'ENOTIMP',
  5: 'EREFUSED',
}

/** A question, with recursion desired; null when `name` cannot be asked for. */
export function srvQuestion(name: string, id: number): Buffer | null {
  const labels = name.toLowerCase().split('.')
  if (name.length > NAME_LENGTH_MAX) return null
  if (labels.some((label) => label.length > LABEL_LENGTH_MAX || !LABEL.test(label))) return null
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt16BE(id, 0)
  head.writeUInt16BE(0x0100, 2)
  head.writeUInt16BE(1, 4)
  const parts = labels.map((label) => Buffer.from(`.${label}`, 'latin1'))
  for (const part of parts) part[0] = part.length - 1
  const end = Buffer.from([0, 0, TYPE_SRV, 0, CLASS_IN])
  return Buffer.concat([head, ...parts, end])
}

/** Reads an answer; null when it is none to this question, and may be anybody's. */
export function readSrvAnswer(answer: Buffer, question: Buffer): SrvMessage | null {
  if (answer.length < question.length || answer.readUInt16BE(0) !== question.readUInt16BE(0)) {
    return null
  }
  const flags = answer.readUInt16BE(2)
  const asked = answer.toString('latin1', HEAD_BYTES, question.length).toLowerCase()
  const isAnswer = (flags & 0x8000) !== 0 && answer.readUInt16BE(4) === 1
  if (!isAnswer || asked !== question.toString('latin1', HEAD_BYTES)) return null
  if ((flags & 0x0200) !== 0) return { kind: 'truncated' }
  const rcode = flags & 0x000f
  if (rcode !== 0) return { kind: 'failed', code: RCODE_CODES[rcode] ?? 'EBADRESP' }
  try {
    return readRecords(answer, question.length)
  } catch {
    // A name or a length leads out of the message.
    return { kind: 'failed', code: 'EBADRESP' }
  }
}

function readRecords(answer: Buffer, start: number): SrvMessage {
  const records: SrvRecord[] = []
  let ttlSeconds = Number.POSITIVE_INFINITY
  let offset = start
  for (let left = answer.readUInt16BE(6); left > 0; left--) {
    offset = readName(answer, offset).end
    const type = answer.readUInt16BE(offset)
    // A time to live with its first bit set counts as none (RFC 2181 8).
    const ttl = answer.readInt32BE(offset + 4)
    const data = offset + 10
    offset = data + answer.readUInt16BE(offset + 8)
    if (offset > answer.length) throw new RangeError('a record leads out of the message')
    // Those of the aliases on the way count too.
    ttlSeconds = Math.min(ttlSeconds, Math.max(ttl, 0))
    if (type !== TYPE_SRV) continue
    const { name: target } = readName(answer, data + 6)
    if (target === null) continue
    records.push({
      priority: answer.readUInt16BE(data),
      weight: answer.readUInt16BE(data + 2),
      port: answer.readUInt16BE(data + 4),
      target,
    })
  }
  if (records.length === 0) return { kind: 'failed', code: 'ENODATA' }
  return { kind: 'records', records, ttlMs: ttlSeconds * 1000 }
}

/** The name at an offset, null if it is not one of a host, and where the next thing begins. */
function readName(from: Buffer, start: number): { name: string | null; end: number } {
  const labels: string[] = []
  let offset = start
  let end = -1
  let length = 0
  for (;;) {
    const size = from.readUInt8(offset)
    if (size === 0) break
    if (size >= 0xc0) {
      const target = from.readUInt16BE(offset) & 0x3fff
      if (end < 0) end = offset + 2
      // Only what came before may be pointed to, or a message could lead in circles.
      if (target >= offset) throw new RangeError('a pointer leads forward')
      offset = target
      continue
    }
    if (size > LABEL_LENGTH_MAX) throw new RangeError('a label of an unknown kind')
    length += size + 1
    if (length > NAME_LENGTH_MAX + 1) throw new RangeError('a name is too long')
    if (offset + 1 + size > from.length) throw new RangeError('a name leads out of the message')
    labels.push(from.toString('latin1', offset + 1, offset + 1 + size).toLowerCase())
    offset += size + 1
  }
  const isHost = labels.every((label) => LABEL.test(label))
  return { name: isHost ? labels.join('.') : null, end: end < 0 ? offset + 1 : end }
}
