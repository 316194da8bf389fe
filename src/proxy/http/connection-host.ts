// What the connections of a listener ask of whom they belong to.
import type { ErrorCode } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { TimerWheel } from '../../lib/timer-wheel.ts'
import type { HttpLimits } from './limits.ts'
import type { RequestHead } from './message-head.ts'
import type { RequestSink } from './request-sink.ts'

/** Who owns connections: gives limits, begins exchanges, answers what cannot become one. */
export interface ConnectionHost<Connection> {
  readonly limits: HttpLimits
  readonly wheel: TimerWheel
  readonly clock: Clock
  /** Lent to every connection of the thread for the time of one read. */
  readonly readBuffer: Buffer
  /** A request has arrived; returns what takes it from here. */
  begin(connection: Connection, head: RequestHead): RequestSink
  /** Bytes that are no request: returns the complete answer, in latin1. */
  refuse(connection: Connection, code: ErrorCode): string
  onClosed(connection: Connection): void
  /** A defect of the gateway: this connection is lost, the thread goes on. */
  onDefect(error: unknown): void
}
