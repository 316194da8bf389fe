// The client's body on its way to an attempt: held while nobody takes it, and no more is read then.
import type { ServerConnection } from '../http/server-connection.ts'

/** What takes a body. */
export interface BodyTaker {
  /** @returns false when it should catch up first. */
  onRequestData(data: Buffer): boolean
  onRequestEnd(trailers: string): void
}

/** The body of one request. */
export class BodyIntake {
  readonly #connection: ServerConnection
  #taker: BodyTaker | null = null
  #held: Buffer[] = []
  #ended = false
  #trailers = ''

  constructor(connection: ServerConnection) {
    this.#connection = connection
  }

  /** A piece has arrived. */
  offer(data: Buffer): void {
    if (this.#taker === null) this.#held.push(data)
    if (this.#taker === null || !this.#taker.onRequestData(data)) this.#connection.pauseRequest()
  }

  /** All of it has arrived. `trailers` are lines that may pass. */
  end(trailers: string): void {
    this.#ended = true
    this.#trailers = trailers
    this.#taker?.onRequestEnd(trailers)
  }

  /** Hands over what was held, and the rest as it comes. */
  open(taker: BodyTaker): void {
    this.#taker = taker
    const held = this.#held
    this.#held = []
    let takesMore = true
    for (let i = 0; i < held.length; i++) takesMore = taker.onRequestData(held[i]!)
    if (this.#ended) taker.onRequestEnd(this.#trailers)
    else if (takesMore) this.#connection.resumeRequest()
  }

  /** Nobody takes it any more, until the next `open`. */
  close(): void {
    this.#taker = null
  }
}
