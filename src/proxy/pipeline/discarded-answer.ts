// An answer that goes to nobody: read to its end if that is near, so that its connection can be kept.
import type { ClientConnection, ResponseSink } from '../http/client-connection.ts'

/** Of its body so much is read. */
const BYTES_MAX = 65536

/** Takes the rest of one answer. */
export class DiscardedAnswer implements ResponseSink {
  readonly #connection: ClientConnection
  #bytesLeft = BYTES_MAX
  #isOver = false

  constructor(connection: ClientConnection) {
    this.#connection = connection
    connection.passTo(this)
  }

  /** Waits for no more of it. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#connection.abort()
  }

  onInterim(): void {}

  onResponseHead(): void {}

  onResponseData(data: Buffer): void {
    if (data.length > this.#bytesLeft) this.end()
    else this.#bytesLeft -= data.length
  }

  onResponseEnd(): void {
    this.#isOver = true
  }

  onResponseFailed(): void {
    this.#isOver = true
  }

  onUpstreamDrain(): void {}

  onReadEnd(): void {}
}
