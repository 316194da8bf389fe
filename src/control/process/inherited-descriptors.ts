// How the parent's sockets reach the gateway process: as inherited descriptors, several copies of
// each. A thread that dies closes the copy it listened on; its successor listens on the next one.
import { closeSync } from 'node:fs'
import type { HeldSocket } from './listening-sockets.ts'

/** Copies per socket: what the first thread uses up and what its successors may. */
const COPIES_MAX = 32
const COPIES_MIN = 2
/** Bound of all descriptors handed over, as far as `COPIES_MIN` allows. */
const DESCRIPTORS_MAX = 1_024
/** stdin, stdout, stderr and the channel to the parent come first. */
const FIRST_FD = 4

/** One address as the gateway process gets it. */
export interface InheritedSocket {
  readonly key: string
  /** The port that was bound. */
  readonly port: number
  /** Numbers in the gateway process: per thread, all copies. The admin API's has one row. */
  readonly copies: readonly (readonly number[])[]
}

/** What `spawn` must pass on, and what the child is told about it. */
export interface DescriptorPlan {
  /** The parent's descriptors for places 4 and up of `stdio`. */
  readonly stdio: number[]
  readonly sockets: InheritedSocket[]
}

/** Plans the copies for a new gateway process. */
export function planDescriptors(held: readonly HeldSocket[]): DescriptorPlan {
  const total = held.reduce((sum, socket) => sum + socket.descriptors.length, 0)
  const count = Math.max(
    COPIES_MIN,
    Math.min(COPIES_MAX, Math.floor(DESCRIPTORS_MAX / Math.max(1, total))),
  )
  const stdio: number[] = []
  const sockets = held.map(({ key, port, descriptors }) => ({
    key,
    port,
    copies: descriptors.map((descriptor) => {
      const first = FIRST_FD + stdio.length
      for (let copy = 0; copy < count; copy++) stdio.push(descriptor.fd())
      return Array.from({ length: count }, (_, copy) => first + copy)
    }),
  }))
  return { stdio, sockets }
}

/** The copies that are left, in the gateway process. */
export class DescriptorStock {
  readonly #copies = new Map<string, number[][]>()
  readonly #ports = new Map<string, number>()

  constructor(sockets: readonly InheritedSocket[]) {
    for (const { key, port, copies } of sockets) {
      this.#copies.set(
        key,
        copies.map((row) => [...row]),
      )
      this.#ports.set(key, port)
    }
  }

  /** Whether the parent holds this address. */
  has(key: string): boolean {
    return this.#copies.has(key)
  }

  /** The port that was bound for this address; `fallback` when the parent does not hold it. */
  port(key: string, fallback: number): number {
    return this.#ports.get(key) ?? fallback
  }

  /** Uses up one copy; null when none is left. */
  take(key: string, thread: number): number | null {
    return this.#copies.get(key)?.[thread]?.shift() ?? null
  }

  /** How many successors a thread can still have: the least over all addresses. */
  left(keys: readonly string[], thread: number): number {
    return Math.min(...keys.map((key) => this.#copies.get(key)?.[thread]?.length ?? 0))
  }

  /** Closes what nobody took, so that a socket the parent gives up is really gone. */
  close(): void {
    for (const rows of this.#copies.values()) {
      for (const row of rows) for (const fd of row.splice(0)) closeSync(fd)
    }
  }
}
