// One request and its response, as policies, conditions, the router and balancers see it. State and
// questions only: what happens next is decided in run.ts.
import type { ErrorCode } from '../../errors.ts'
import { WheelTimer } from '../../lib/timer-wheel.ts'
import { FieldEdits } from '../http/compose-head.ts'
import type { RequestHead, ResponseHead } from '../http/message-head.ts'
import type { PathParameters, RoutedRequest } from '../router/routing-table.ts'
import type { BalancedRequest } from '../upstream/balancers/balancer.ts'
import type { Place } from '../upstream/concurrency/concurrency-gate.ts'
import type { Authentication, Consumer } from './consumer.ts'
import { fieldLine, type Reply } from './reply.ts'

/** Where the request came in. */
export interface ClientInfo {
  readonly ip: string
  readonly port: number
  readonly scheme: 'http' | 'https'
  readonly tlsVersion: string | null
}

const NO_SLOTS: unknown[] = []
const QUERY = /^[!-"$-~]*$/
let lastId = 0

/** One request and its response. All fields exist from the start, so that every exchange has one shape. */
export abstract class Exchange extends WheelTimer implements RoutedRequest, BalancedRequest {
  /** Counts up per thread. */
  readonly id: number
  readonly request: RequestHead
  readonly method: string
  /** The target in origin-form: as received, but for the query, which policies may change. */
  target: string
  /** The target's path, still percent-encoded. */
  readonly path: string
  /** Lower-case host without port and final dot; '' if there is none. */
  readonly host: string
  readonly scheme: 'http' | 'https'
  readonly clientIp: string
  readonly clientPort: number
  readonly tlsVersion: string | null
  /** Wall clock at the request head, ms since 1970. */
  readonly startedAtMs: number
  /** Monotonic clock at the request head, ms. */
  readonly receivedAt: number
  /** From the request head to the end; set when the exchange finishes. */
  durationMs = 0
  /** From sending the request to the upstream's head; -1 if there was none. */
  upstreamDurationMs = -1
  route: { readonly id: string } | null = null
  /** The upgrade token that passes, or null. */
  upgrade: string | null = null
  /** The methods that the matched path does take, when no route takes this one. */
  allow: string | null = null
  /** Reads the parameters of the matched path; null if it has none. */
  pathParameters: PathParameters | null = null
  /** The service chosen, by name. */
  service: string | null = null
  consumer: Consumer | null = null
  /** How the consumer became known; null while nobody is. */
  authentication: Authentication | null = null
  /** Failed attempts that count only if the request is refused; null where each counts at once. */
  pendingFailures: (() => void)[] | null = null
  requestId: string | null = null
  /** One place per stage that reserved one. */
  slots: unknown[] = NO_SLOTS
  /** The answer's status; 0 until one is known. */
  status = 0
  /** The upstream's head, or null while there is none and for replies of the gateway. */
  response: ResponseHead | null = null
  /** The gateway's own answer, or null. */
  localReply: Reply | null = null
  /** Why Gatehouse answered itself or gave up; null when all went well. */
  errorCode: ErrorCode | null = null
  errorDetail: string | null = null
  /** Body bytes received from the client, and sent to it. */
  requestBytes = 0
  responseBytes = 0
  attempts = 0
  /** Among the requests in flight at a service that bounds them; null where none is held. */
  place: Place | null = null
  /** 'host:port' of the last attempt. */
  endpoint: string | null = null
  /** Target and Host as the head of this attempt carries them; known in `onForward`. */
  forwardedTarget = ''
  forwardedHost = ''
  #params: Readonly<Record<string, string>> | null = null
  requestEdits: FieldEdits | null = null
  responseEdits: FieldEdits | null = null

  constructor(head: RequestHead, client: ClientInfo, now: number, wallTime: number) {
    super()
    this.id = lastId = (lastId + 1) & 0x3fffffff
    this.request = head
    this.method = head.method
    this.target = head.target
    this.path =
      head.pathLength === head.target.length ? head.target : head.target.slice(0, head.pathLength)
    this.host = hostName(head.host)
    this.scheme = client.scheme
    this.clientIp = client.ip
    this.clientPort = client.port
    this.tlsVersion = client.tlsVersion
    this.receivedAt = now
    this.startedAtMs = wallTime
  }

  /** The parameters of the matched path by name, percent-decoded; null if it has none. */
  get params(): Readonly<Record<string, string>> | null {
    if (this.pathParameters === null) return null
    this.#params ??= this.pathParameters.parametersOf(this.path)
    return this.#params
  }

  /** Lets go of its route but for this much, and what is known of it. */
  protected keepOnly(route: { readonly id: string }): void {
    const params = this.params
    this.route = route
    this.pathParameters = params === null ? null : { parametersOf: () => params }
  }

  /** The target's query without '?'; '' if there is none. */
  get query(): string {
    return this.target.slice(this.request.pathLength + 1)
  }

  /**
   * Replaces the query, '' for none, for all that looks at it from now on.
   * @throws TypeError on what no target may hold.
   */
  setQuery(query: string): void {
    if (!QUERY.test(query)) throw new TypeError('the query holds a character that none may carry')
    this.target = query === '' ? this.path : `${this.path}?${query}`
  }

  /** The Host field as received. */
  get authority(): string {
    return this.request.host
  }

  /** 'HTTP/1.1' and the like. */
  get protocol(): string {
    return this.request.minorVersion === 1 ? 'HTTP/1.1' : 'HTTP/1.0'
  }

  get requestHasBody(): boolean {
    return this.request.isChunked || this.request.contentLength > 0
  }

  /** The body length that the client stated; -1 if it stated none. */
  get requestContentLength(): number {
    return this.request.contentLength
  }

  /** A request header by lower-case name, after the edits of earlier policies; null if absent. */
  requestHeader(lowerName: string): string | null {
    if (this.requestEdits === null) return this.request.field(lowerName)
    return this.requestEdits.value(this.request, lowerName)
  }

  /** The value of a cookie, without quotes; null if absent. */
  cookie(name: string): string | null {
    const header = this.requestHeader('cookie')
    if (header === null) return null
    let start = 0
    while (start < header.length) {
      let end = header.indexOf(';', start)
      if (end === -1) end = header.length
      const equals = header.indexOf('=', start)
      if (equals !== -1 && equals < end && header.slice(start, equals).trim() === name) {
        const value = header.slice(equals + 1, end).trim()
        return value.startsWith('"') && value.endsWith('"') && value.length > 1
          ? value.slice(1, -1)
          : value
      }
      start = end + 1
    }
    return null
  }

  /** Replaces a header of the forwarded request. @throws TypeError on bytes that no header may carry. */
  setRequestHeader(name: string, value: string): void {
    this.removeRequestHeader(name)
    this.addRequestHeader(name, value)
  }

  /** Adds a line to the forwarded request. @throws TypeError as setRequestHeader does. */
  addRequestHeader(name: string, value: string): void {
    this.requestEdits ??= new FieldEdits()
    this.requestEdits.add(name.toLowerCase(), value, fieldLine(name, value))
  }

  removeRequestHeader(name: string): void {
    this.requestEdits ??= new FieldEdits()
    this.requestEdits.remove(name.toLowerCase())
  }

  /** A header of the answer by lower-case name, after edits; null if absent or no answer is known. */
  responseHeader(lowerName: string): string | null {
    if (this.responseEdits !== null) {
      const removed = this.responseEdits.removed.includes(lowerName)
      const value = this.responseEdits.value(this.response, lowerName)
      if (value !== null || removed || this.localReply === null) return value
    } else if (this.response !== null) return this.response.field(lowerName)
    return this.localReply === null ? null : replyField(this.localReply, lowerName)
  }

  /** Replaces a header of the answer. @throws TypeError on bytes that no header may carry. */
  setResponseHeader(name: string, value: string): void {
    this.removeResponseHeader(name)
    this.addResponseHeader(name, value)
  }

  addResponseHeader(name: string, value: string): void {
    this.responseEdits ??= new FieldEdits()
    this.responseEdits.add(name.toLowerCase(), value, fieldLine(name, value))
  }

  removeResponseHeader(name: string): void {
    this.responseEdits ??= new FieldEdits()
    this.responseEdits.remove(name.toLowerCase())
  }
}

function hostName(authority: string): string {
  let end = authority.length
  if (end > 0) {
    const colon = authority.lastIndexOf(':')
    if (colon !== -1 && authority.indexOf(']', colon) === -1) end = colon
    if (authority.charCodeAt(end - 1) === 0x2e && end > 1) end--
  }
  return (end === authority.length ? authority : authority.slice(0, end)).toLowerCase()
}

function replyField(reply: Reply, lowerName: string): string | null {
  for (const line of reply.fieldLines.split('\r\n')) {
    const colon = line.indexOf(':')
    if (line.slice(0, colon).toLowerCase() === lowerName) return line.slice(colon + 1).trim()
  }
  return null
}
