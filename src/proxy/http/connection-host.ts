// What the connections of a listener ask of whom they belong to.
import type { ErrorCode } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { TimerWheel } from '../../lib/timer-wheel.ts'
import { FIRST_REQUEST_WAIT_MS, type HttpLimits } from './limits.ts'
import type { RequestHead } from './message-head.ts'
import type { RequestSink } from './request-sink.ts'

/** The connections take one more request each, which is answered with `Connection: close`. */
export interface LastRequests {
  /** How long a connection without a request stays open for it from now on, in milliseconds. */
  idleWaitMs(): number
}

/** Who owns connections: gives limits, begins exchanges, answers what cannot become one. */
export interface ConnectionHost<Connection> {
  readonly limits: HttpLimits
  readonly wheel: TimerWheel
  readonly clock: Clock
  /** Lent to every connection of the thread for the time of one read. */
  readonly readBuffer: Buffer
  /** Null as long as connections take any number of requests. */
  readonly lastRequests: LastRequests | null
  /** A request has arrived; returns what takes it from here. */
  begin(connection: Connection, head: RequestHead): RequestSink
  /** Bytes that are no request: returns the complete answer, in latin1. */
  refuse(connection: Connection, code: ErrorCode): string
  onClosed(connection: Connection): void
  /** A defect of the gateway: this connection is lost, the thread goes on. */
  onDefect(error: unknown): void
}

/** How long a connection may wait for its next request, in milliseconds; 0: not at all. */
export function requestWaitMs(host: Waited, isFirst: boolean): number {
  const { lastRequests, limits } = host
  if (lastRequests === null) return limits.keepAliveTimeoutMs
  // On a connection that was just opened the first request is on its way.
  return Math.max(lastRequests.idleWaitMs(), isFirst ? FIRST_REQUEST_WAIT_MS : 0)
}

type Waited = Pick<ConnectionHost<never>, 'lastRequests' | 'limits'>
