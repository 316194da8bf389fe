// Composes the heads of answers, the gateway's own and those that pass through.
import { STATUS_CODES } from 'node:http'
import type { Clock } from '../../lib/clock.ts'
import {
  type FieldEdits,
  HOP_FIELDS,
  hasKind,
  LENGTH_FIELD,
  passedFields,
} from '../http/compose-head.ts'
import { dateLine } from '../http/http-date.ts'
import { FieldKind, type RequestHead, type ResponseHead } from '../http/message-head.ts'
import { BodyMode } from '../http/response-writer.ts'
import type { Reply } from './reply.ts'

/** What the heads need to know of an exchange. */
export interface Answered {
  readonly request: Pick<RequestHead, 'minorVersion'>
  readonly responseEdits: FieldEdits | null
  readonly context: { readonly clock: Clock; readonly viaLines: readonly [string, string] }
}

/** The line that tells the client whether the connection lives on; '' where the version says it. */
function connectionLine(exchange: Answered, closing: boolean): string {
  if (closing) return 'Connection: close\r\n'
  return exchange.request.minorVersion === 0 ? 'Connection: keep-alive\r\n' : ''
}

/** The head of a reply. */
export function replyHead(
  exchange: Answered,
  reply: Reply,
  bodyBytes: number,
  closing: boolean,
): string {
  const edits = exchange.responseEdits
  let fields = reply.fieldLines
  if (edits !== null) fields = editedLines(fields, edits) + edits.lines()
  const length =
    reply.status === 204 || reply.status === 304 ? '' : `Content-Length: ${bodyBytes}\r\n`
  return (
    `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ''}\r\n` +
    dateLine(exchange.context.clock.wallTime()) +
    fields +
    length +
    connectionLine(exchange, closing) +
    '\r\n'
  )
}

function editedLines(lines: string, edits: FieldEdits): string {
  if (edits.removed.length === 0) return lines
  let out = ''
  for (const line of lines.split('\r\n')) {
    if (line !== '' && !edits.removed.includes(line.slice(0, line.indexOf(':')).toLowerCase())) {
      out += `${line}\r\n`
    }
  }
  return out
}

/** The head of an upstream's answer as it goes to the client. */
export function upstreamHead(
  exchange: Answered,
  head: ResponseHead,
  mode: number,
  closing: boolean,
): string {
  const { context } = exchange
  const drop =
    mode === BodyMode.chunked || mode === BodyMode.untilClose || head.status === 204
      ? HOP_FIELDS | LENGTH_FIELD
      : HOP_FIELDS
  return (
    `HTTP/1.1 ${head.status} ${head.reason}\r\n` +
    passedFields(head, drop, exchange.responseEdits) +
    // RFC 9110 6.6.1: a recipient with a clock adds the Date that the origin left out.
    (hasKind(head, FieldKind.date) ? '' : dateLine(context.clock.wallTime())) +
    context.viaLines[head.minorVersion === 0 ? 0 : 1] +
    (mode === BodyMode.chunked ? 'Transfer-Encoding: chunked\r\n' : '') +
    connectionLine(exchange, closing) +
    '\r\n'
  )
}

/** A 101, with the token that both sides agreed on. */
export function tunnelHead(exchange: Answered, head: ResponseHead, token: string): string {
  return (
    `HTTP/1.1 101 ${head.reason}\r\n` +
    passedFields(head, HOP_FIELDS | LENGTH_FIELD, exchange.responseEdits) +
    exchange.context.viaLines[head.minorVersion === 0 ? 0 : 1] +
    `Connection: Upgrade\r\nUpgrade: ${token}\r\n\r\n`
  )
}

/** An interim answer (RFC 9110 15.2). */
export function interimHead(head: ResponseHead): string {
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${passedFields(head, HOP_FIELDS | LENGTH_FIELD, null)}\r\n`
}

/** How the body of an upstream's answer is framed for this client (RFC 9112 6.3). */
export function bodyMode(
  exchange: Answered & { readonly method: string },
  head: ResponseHead,
  changesLength: boolean,
): number {
  if (exchange.method === 'HEAD' || head.status === 204 || head.status === 304) return BodyMode.none
  if (head.contentLength !== -1 && !changesLength) return BodyMode.length
  return exchange.request.minorVersion === 1 ? BodyMode.chunked : BodyMode.untilClose
}
