// What the admin API shows, and how a resource shows it.
import type { Document } from '../../config/schema.ts'

/** The running gateway as the admin API sees it. */
export interface AdminSubject {
  /** Null when requests are served; else why not, in a few words. */
  notReadyReason(): string | null
  /** The configuration that runs now. */
  document(): Document
  /** All numbers in Prometheus' text format. */
  metrics(): Promise<string>
}

/** A complete answer. */
export interface AdminAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** One path of the admin API; it can only be read. */
export interface AdminResource {
  readonly path: string
  answer(subject: AdminSubject): AdminAnswer | Promise<AdminAnswer>
}

/** An answer in plain text. */
export function textAnswer(status: number, text: string): AdminAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` }
}
