// The way of a request from the connection that reads it to the exchange that it becomes.
import type { ErrorCode } from '../../errors.ts'

/** What receives one request as it arrives. */
export interface RequestSink {
  /** Everything stands ready: begin. A request without a body is complete by now. */
  start(): void
  /** A piece of the body; in a tunnel, of the stream. The memory is the receiver's to keep. */
  onRequestData(data: Buffer): void
  /** The body, or the client's side of a tunnel, is complete. `trailers` are raw lines. */
  onRequestEnd(trailers: string): void
  /** The rest of the request will not come; the connection still takes an answer unless it is closed. */
  onRequestFailed(code: ErrorCode): void
  /** What was written has left; see `writeData`. */
  onClientDrain(): void
}
