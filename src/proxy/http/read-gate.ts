// Whether a connection reads: it stands still while anybody has a reason.
import type { Socket } from 'node:net'

/** Why reading stands still; bits. */
export const PauseReason = { receiver: 1, pipelined: 2, unread: 4, any: 7 } as const

/** The gate in front of one socket's input. */
export class ReadGate {
  readonly #socket: Socket
  #reasons = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  get isOpen(): boolean {
    return this.#reasons === 0
  }

  pause(reason: number): void {
    if (this.#reasons === 0) this.#socket.pause()
    this.#reasons |= reason
  }

  resume(reason: number): void {
    if (this.#reasons === 0) return
    this.#reasons &= ~reason
    if (this.#reasons === 0) this.#socket.resume()
  }
}
