// Writes message heads: what passes of a received one, as few slices as possible, with the edits that
// policies made.
import { equalsFolded, FIELD_STRIDE, FieldKind, type MessageHead } from './message-head.ts'

/** Changes to the fields of one message: what goes, then what is added at the end. */
export class FieldEdits {
  /** Lower-case names whose received lines do not pass. */
  readonly removed: string[] = []
  /** Three entries a line: lower-case name, value, the line with CRLF. */
  readonly added: string[] = []

  /** Takes every line of this name out, received or added. */
  remove(lowerName: string): void {
    if (!this.removed.includes(lowerName)) this.removed.push(lowerName)
    for (let i = this.added.length - 3; i >= 0; i -= 3) {
      if (this.added[i] === lowerName) this.added.splice(i, 3)
    }
  }

  add(lowerName: string, value: string, line: string): void {
    this.added.push(lowerName, value, line)
  }

  /** The value that a message with these edits has, or null; see MessageHead.field. */
  value(head: MessageHead | null, lowerName: string): string | null {
    let value = head === null || this.removed.includes(lowerName) ? null : head.field(lowerName)
    for (let i = 0; i < this.added.length; i += 3) {
      if (this.added[i] !== lowerName) continue
      const separator = lowerName === 'cookie' ? '; ' : ', '
      value = value === null ? this.added[i + 1]! : value + separator + this.added[i + 1]!
    }
    return value
  }

  /** The added lines. */
  lines(): string {
    let lines = ''
    for (let i = 2; i < this.added.length; i += 3) lines += this.added[i]!
    return lines
  }
}

/** One bit per FieldKind: those that never pass a gateway (RFC 9110 7.6.1). */
export const HOP_FIELDS: number =
  (1 << FieldKind.connection) |
  (1 << FieldKind.hopByHop) |
  (1 << FieldKind.removed) |
  (1 << FieldKind.te) |
  (1 << FieldKind.upgrade) |
  (1 << FieldKind.transferEncoding)

export const FORWARDED_FIELDS: number = 1 << FieldKind.forwarded
export const HOST_FIELD: number = 1 << FieldKind.host
export const LENGTH_FIELD: number = 1 << FieldKind.contentLength
export const EXPECT_FIELD: number = 1 << FieldKind.expect

/**
 * The field lines that pass, in their order and spelling, then the added ones.
 * @param drop bits of the kinds that do not pass.
 */
export function passedFields(head: MessageHead, drop: number, edits: FieldEdits | null): string {
  const { raw, fields } = head
  if (fields.length === 0) return edits === null ? '' : edits.lines()
  if (edits === null && !head.hasHopFields && (drop & ~HOP_FIELDS & ~FORWARDED_FIELDS) === 0) {
    return raw.slice(fields[0], head.fieldsEnd)
  }
  let out = ''
  let runStart = -1
  for (let i = 0; i < fields.length; i += FIELD_STRIDE) {
    const start = fields[i]!
    const passes =
      ((1 << fields[i + 4]!) & drop) === 0 &&
      (edits === null || !isRemoved(raw, start, fields[i + 1]!, edits))
    if (passes) {
      if (runStart === -1) runStart = start
    } else if (runStart !== -1) {
      out += raw.slice(runStart, start)
      runStart = -1
    }
  }
  if (runStart !== -1) out += raw.slice(runStart, head.fieldsEnd)
  return edits === null ? out : out + edits.lines()
}

function isRemoved(raw: string, start: number, end: number, edits: FieldEdits): boolean {
  const { removed } = edits
  for (let i = 0; i < removed.length; i++) {
    const name = removed[i]!
    if (name.length === end - start && equalsFolded(raw, start, name)) return true
  }
  return false
}

/** Whether the head carries a field of this kind. */
export function hasKind(head: MessageHead, kind: number): boolean {
  for (let i = 4; i < head.fields.length; i += FIELD_STRIDE)
    if (head.fields[i] === kind) return true
  return false
}
