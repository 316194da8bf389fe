// What the control plane shows of itself, and to whom: the admin API is built on top of this folder,
// so it is handed in by whoever starts a gateway process.
import type { Document } from '../../config/schema.ts'

/** Something that keeps a gateway from being ready, for machines to read. */
export type NotReady =
  | { readonly code: 'starting' | 'draining' }
  /** Some threads do not accept on all listeners; each of them is being started again. */
  | { readonly code: 'threads'; readonly serving: number; readonly configured: number }
  /** A required service has no endpoint that can be used. */
  | { readonly code: 'service'; readonly service: string }

/** The running gateway as the admin API sees it. */
export interface ControlView {
  /** All that keeps requests from being sent here; empty when nothing does. */
  notReady(): readonly NotReady[]
  /** Whether any thread showed a sign of life lately. */
  isAlive(): boolean
  /** The configuration that runs now. */
  document(): Document
  /** All numbers in Prometheus' text format. */
  metrics(): Promise<string>
}

/** Where the admin API listens; `host` as it is configured. */
export interface AdminAddress {
  readonly host: string
  readonly port: number
  /** A bound socket to listen on instead of binding one. */
  readonly fd: number | null
}

/** The admin API while it listens. */
export interface AdminServer {
  /** The port that was bound. */
  readonly port: number
  /** Stops listening and ends every connection; resolves when all is closed. */
  close(): Promise<void>
}

/** Opens the admin API. @throws Error of listen(2) when the address cannot be used. */
export type OpenAdmin = (view: ControlView, address: AdminAddress) => Promise<AdminServer>
