// How fast a body moves: measured when something happens to be there, so that it needs no timer.
import type { Socket } from 'node:net'
import type { HttpLimits } from './limits.ts'

/** The pace of one body on its way in. */
export class Pace {
  #since = 0
  #bytes = 0

  /** Measures from here. @param now the clock's reading, in ms. */
  begin(now: number): void {
    this.#since = now
    this.#bytes = 0
  }

  /**
   * Counts bytes that have moved.
   * @returns false when, over the grace or longer, it was less than the limits ask for.
   */
  keeps(bytes: number, now: number, limits: HttpLimits): boolean {
    this.#bytes += bytes
    const elapsedMs = now - this.#since
    if (elapsedMs < limits.bodyRateGraceMs) return true
    if (this.#bytes * 1000 < limits.bodyBytesPerSecondMin * elapsedMs) return false
    this.begin(now)
    return true
  }
}

/** The pace at which the other end of a socket takes what was written. */
export class ReadingPace {
  readonly #socket: Socket
  readonly #pace = new Pace()
  #taken = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  begin(now: number): void {
    this.#taken = bytesTaken(this.#socket)
    this.#pace.begin(now)
  }

  /** Whether it took anything since the last look, and enough. */
  keeps(now: number, limits: HttpLimits): boolean {
    const before = this.#taken
    this.#taken = bytesTaken(this.#socket)
    return this.#taken > before && this.#pace.keeps(this.#taken - before, now, limits)
  }
}

/** What the runtime knows of a socket's output, but tells only itself. */
interface OutputHandle {
  readonly bytesWritten?: number
  readonly writeQueueSize?: number
}

/**
 * How many bytes of a socket's output the kernel has taken. Public counters move only when a whole write
 * is through, which for a large one is too late to tell a slow reader from one that stands still.
 */
function bytesTaken(socket: Socket): number {
  const handle = (socket as unknown as { _handle?: OutputHandle | null })._handle
  if (typeof handle?.bytesWritten === 'number' && typeof handle.writeQueueSize === 'number') {
    return handle.bytesWritten - handle.writeQueueSize
  }
  return socket.bytesWritten - socket.writableLength
}
