// W3C Trace Context (level 1): the ids that tie the requests of one user action together.
import { randomHex } from './random-id.ts'

const VERSION_00_LENGTH = 55
const NO_TRACE = '0'.repeat(32)
const NO_PARENT = '0'.repeat(16)

/** The contents of a `traceparent` header. */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string
  /** The span that sent the request: 16 digits, not all zero. */
  readonly parentId: string
  /** Whether the caller may have recorded the trace. */
  readonly isSampled: boolean
}

/** Reads a `traceparent` header (3.2); null when it is absent or not valid, and a new trace begins. */
export function parseTraceparent(value: string | null): TraceContext | null {
  if (value === null || value.length < VERSION_00_LENGTH) return null
  const isVersion00 = value.startsWith('00')
  // Later versions may append fields after another dash.
  if (isVersion00 ? value.length > VERSION_00_LENGTH : value.length > 55 && value[55] !== '-') {
    return null
  }
  if (value[2] !== '-' || value[35] !== '-' || value[52] !== '-' || value.startsWith('ff'))
    return null
  if (!isHex(value, 0, 2) || !isHex(value, 53, 55)) return null
  if (!isHex(value, 3, 35) || !isHex(value, 36, 52)) return null
  const traceId = value.slice(3, 35)
  const parentId = value.slice(36, 52)
  if (traceId === NO_TRACE || parentId === NO_PARENT) return null
  // The only flag known: the lowest bit of the last digit. '1', '3', 'b' and so on are odd.
  const lastDigit = Number.parseInt(value.slice(54, 55), 16)
  return { traceId, parentId, isSampled: (lastDigit & 1) === 1 }
}

/** The `traceparent` header for a request that this span sends. */
export function formatTraceparent(traceId: string, spanId: string, isSampled: boolean): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
}

/** A new trace id: 32 hexadecimal digits, not all zero. */
export function newTraceId(): string {
  const id = randomHex(16)
  return id === NO_TRACE ? newTraceId() : id
}

/** A new span id: 16 hexadecimal digits, not all zero. */
export function newSpanId(): string {
  const id = randomHex(8)
  return id === NO_PARENT ? newSpanId() : id
}

function isHex(text: string, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index)
    const isDigit = code >= 0x30 && code <= 0x39
    if (!isDigit && (code < 0x61 || code > 0x66)) return false
  }
  return true
}
