// What the control plane and a data-plane thread say to each other over the thread's port.
import type { MessagePort } from 'node:worker_threads'
import type { Document } from '../../config/schema.ts'
import type { DrainPlan } from '../../gateway/drain.ts'
import type { ListenSource } from '../../gateway/plane.ts'
import type { EndpointsUpdate } from '../../gateway/plane-services.ts'
import type { SharedState } from '../../gateway/shared-state.ts'
import type { LogLevel } from '../../observability/log.ts'

/** A document without its long lists; these follow in parts, so that no thread reads long at a time. */
export type DocumentHead = Omit<Document, 'routes' | 'services'>

/** Some of a document's routes and services. */
export type DocumentPart = Pick<Document, 'routes' | 'services'>

/** Every call: what it takes and what it answers. */
export interface ThreadCalls {
  begin: { params: { generation: number; head: DocumentHead }; result: void }
  add: { params: { generation: number; part: DocumentPart }; result: void }
  prepare: { params: { generation: number }; result: string[] }
  /** The addresses go live with the generation: services of the old one may be missing among them. */
  switchTo: { params: { generation: number; endpoints: EndpointsUpdate }; result: void }
  discard: { params: { generation: number }; result: void }
  listen: { params: { key: string; source: ListenSource }; result: number }
  updateEndpoints: { params: { endpoints: EndpointsUpdate }; result: void }
  /** How many exchanges were cut off. */
  drain: { params: { plan: DrainPlan }; result: number }
  close: { params: Record<string, never>; result: void }
  stats: { params: Record<string, never>; result: Record<string, number> }
}

export type ThreadMethod = keyof ThreadCalls

/** A call on its way to a thread. */
export type ThreadRequest = {
  [Method in ThreadMethod]: { id: number; method: Method; params: ThreadCalls[Method]['params'] }
}[ThreadMethod]

/** Its answer; `failure` is null when the call succeeded. */
export interface ThreadResponse {
  readonly id: number
  readonly result: unknown
  readonly failure: string | null
}

/** What a thread is made with. */
export interface ThreadData {
  readonly threadIndex: number
  readonly shared: SharedState
  /** Characters of log lines on their way to the control plane, per thread. */
  readonly logPending: Int32Array
  readonly logLevel: LogLevel
  /** Where remote documents come from; see document-port.ts. */
  readonly documents: MessagePort
  /** Modules with further policies, by URL; other ones need another gateway process. */
  readonly plugins: readonly string[]
}

/** Routes, and services, per part: a part is read in well under a millisecond or two. */
const PART_LENGTH = 100

/** Takes a document apart for its way into a thread. */
export function takeApart(document: Document): { head: DocumentHead; parts: DocumentPart[] } {
  const { routes, services, ...head } = document
  const parts: DocumentPart[] = []
  for (let from = 0; from < Math.max(routes.length, services.length); from += PART_LENGTH) {
    const to = from + PART_LENGTH
    parts.push({ routes: routes.slice(from, to), services: services.slice(from, to) })
  }
  return { head, parts }
}

/** Puts a document together again, part by part. */
export class DocumentAssembly {
  readonly #document: Document

  constructor(head: DocumentHead) {
    this.#document = { ...head, routes: [], services: [] }
  }

  add(part: DocumentPart): void {
    this.#document.routes.push(...part.routes)
    this.#document.services.push(...part.services)
  }

  get document(): Document {
    return this.#document
  }
}
