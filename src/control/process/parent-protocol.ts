// What the parent and the gateway process say to each other over the channel of `spawn`.
import type { DrainPlan } from '../../gateway/drain.ts'
import type { InheritedSocket } from './inherited-descriptors.ts'
import type { SocketNeed } from './socket-needs.ts'

/** Raised with every change of a message, so that an upgrade across it is refused in words. */
export const PROTOCOL_VERSION = 2

/** Bound of a document on its way between processes. */
export const DOCUMENT_BYTES_MAX = 128 * 1024 * 1024

/** A configuration that was checked, ready to be handed to a gateway process. */
export interface CheckedDocument {
  /** The document as JSON. The parent never looks inside. */
  readonly json: string
  readonly needs: readonly SocketNeed[]
  /** How it ends. */
  readonly drain: DrainPlan
}

/** The first message to a gateway process. */
export interface StartMessage {
  readonly type: 'start'
  readonly protocol: number
  readonly file: string
  /** The configuration to run; null: load the file with the code of this process (an upgrade). */
  readonly document: CheckedDocument | null
  readonly threads: number
  /** Reload when the file changes. */
  readonly watch: boolean
  /** Empty where the platform cannot hand sockets over: the gateway process binds by itself. */
  readonly sockets: readonly InheritedSocket[]
}

export type ToGateway =
  | StartMessage
  | { readonly type: 'reload' }
  | { readonly type: 'drain'; readonly plan: DrainPlan; readonly successor: boolean }
  | { readonly type: 'not-replaced'; readonly reason: string }

/** What runs, for the lines on the screen. */
export interface ReadyMessage {
  readonly type: 'ready'
  readonly document: CheckedDocument
  readonly urls: readonly string[]
  readonly adminUrl: string | null
  readonly threads: number
  readonly routes: number
  readonly services: number
}

export type FromGateway =
  | ReadyMessage
  /** A reload went live without a new process. */
  | { readonly type: 'applied'; readonly document: CheckedDocument }
  /** Only a new process can go on: new addresses, new code, or the descriptors are used up. */
  | { readonly type: 'replace'; readonly reason: string; readonly document: CheckedDocument }
  /** It could not start. */
  | { readonly type: 'failed'; readonly message: string }
