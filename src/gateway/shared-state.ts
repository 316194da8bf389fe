// What all threads of a gateway share, made once by the control plane and posted to each of them.
import { randomFillSync } from 'node:crypto'
import type { Document } from '../config/schema.ts'
import { allocateMetrics, type MetricsBuffers } from '../observability/metrics.ts'
import { allocatePulse } from '../observability/pulse.ts'
import { EndpointTable, type EndpointTableBuffers } from '../proxy/upstream/endpoint-table.ts'
import { CountFile } from '../state/count-file.ts'
import { allocateStore, type StoreBuffers } from '../state/shared-memory-store.ts'
import { TICKET_KEYS_BYTES } from './ticket-keys.ts'

/** Everything shared; can be posted to a worker. */
export interface SharedState {
  readonly endpoints: EndpointTableBuffers
  /** A row per thread, and one more for the control plane. */
  readonly metrics: MetricsBuffers
  /** What each thread does at this moment; see observability/pulse.ts. */
  readonly pulse: SharedArrayBuffer
  /** Int32: [0] counts open client connections, [1 + n] those of thread n. */
  readonly connections: SharedArrayBuffer
  /** TicketKeys, in shared memory. */
  readonly ticketKeys: Uint8Array
  readonly store: StoreBuffers
  /** A store of their own: whoever fails to sign in by the thousand crowds out nobody's limits. */
  readonly failedAttempts: StoreBuffers
}

/** Addresses and identities whose failures are remembered at one time. */
const FAILED_KEYS_MAX = 50_000

/** Makes the shared state of `threads` data-plane threads. The control plane is row `threads`. */
export function createSharedState(threads: number): SharedState {
  return {
    endpoints: EndpointTable.create({ threadsMax: threads + 1 }, threads).buffers,
    metrics: allocateMetrics(threads + 1),
    pulse: allocatePulse(threads),
    connections: new SharedArrayBuffer((1 + threads) * Int32Array.BYTES_PER_ELEMENT),
    ticketKeys: randomFillSync(new Uint8Array(new SharedArrayBuffer(TICKET_KEYS_BYTES))),
    store: allocateStore({ threads }),
    failedAttempts: allocateStore({ threads, keysMax: FAILED_KEYS_MAX }),
  }
}

/**
 * Reads the counts that outlived the last process and keeps them from now on, if the document names a
 * file for them. Call it before any thread serves; `close` it when none does any more.
 * @param threadIndex one that no thread has, or that of the calling one.
 * @throws Error when the file cannot be used.
 */
export async function openCountFile(
  { state: { file } }: Document,
  shared: SharedState,
  threadIndex: number,
  onFailure: (reason: string) => void,
): Promise<CountFile | null> {
  return file === null ? null : await CountFile.open(file, shared.store, threadIndex, { onFailure })
}

/** Counts the open client connections of all threads against one bound. */
export class ConnectionCount {
  readonly #cells: Int32Array
  readonly #own: number

  constructor(buffer: SharedArrayBuffer, threadIndex: number) {
    this.#cells = new Int32Array(buffer)
    this.#own = 1 + threadIndex
  }

  /** Takes a place; false when `max` are taken. */
  tryEnter(max: number): boolean {
    if (Atomics.add(this.#cells, 0, 1) >= max) {
      Atomics.sub(this.#cells, 0, 1)
      return false
    }
    Atomics.add(this.#cells, this.#own, 1)
    return true
  }

  /** Those of all threads. */
  get open(): number {
    return Atomics.load(this.#cells, 0)
  }

  leave(): void {
    Atomics.sub(this.#cells, 0, 1)
    Atomics.sub(this.#cells, this.#own, 1)
  }

  /** Gives back what a dead thread held. */
  static releaseThread(buffer: SharedArrayBuffer, threadIndex: number): void {
    const cells = new Int32Array(buffer)
    Atomics.sub(cells, 0, Atomics.exchange(cells, 1 + threadIndex, 0))
  }
}
