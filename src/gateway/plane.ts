// What hosts a data plane may ask of it. One plane runs per thread; embedding runs one in its own.
import type { Document } from '../config/schema.ts'
import type { DrainPlan } from './drain.ts'

/** Where connections come from: a descriptor that someone else bound, or an address to bind here. */
export type ListenSource =
  | { readonly fd: number }
  | { readonly host: string; readonly port: number }

/** Serves requests in the thread that made it. */
export interface DataPlane {
  /**
   * Compiles a document, in slices of at most 5 ms; nothing changes for requests yet.
   * A plane keeps what it prepared until `switchTo` or `discard` names the generation.
   */
  prepare(document: Document, generation: number): Promise<{ problems: string[] }>
  /** The prepared generation goes live for all exchanges that begin from now on. */
  switchTo(generation: number): void
  /** Forgets a prepared generation. */
  discard(generation: number): void
  /**
   * Accepts connections for the listener of the live document with this key; see `listenerKeys`.
   * @throws Error when the address cannot be bound.
   */
  listen(key: string, source: ListenSource): Promise<{ port: number }>
  /** Takes new addresses of services, found by the control plane. */
  updateEndpoints(update: unknown): void
  /**
   * Ends in the steps of `plan`: every answer closes its connection from now on; after `delayMs` it
   * stops accepting; what still runs `timeoutMs` later is cut off.
   * @returns how many exchanges were cut off.
   */
  drain(plan: DrainPlan): Promise<number>
  /** Cuts off what still runs and gives everything back. */
  close(): Promise<void>
  /** Numbers of this thread by name. */
  stats(): Record<string, number>
}
