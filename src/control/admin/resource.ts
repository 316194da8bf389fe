// What a resource of the admin API is.
import type { ControlView } from '../process/control-view.ts'

/** A complete answer. */
export interface AdminAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** One path of the admin API; it can only be read. */
export interface AdminResource {
  readonly path: string
  answer(view: ControlView): AdminAnswer | Promise<AdminAnswer>
}

/** An answer in plain text. */
export function textAnswer(status: number, text: string): AdminAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` }
}

/** An answer for machines, on one line. */
export function jsonAnswer(status: number, value: unknown): AdminAnswer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` }
}
