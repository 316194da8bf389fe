// Targets that answer themselves: fixed replies, redirects, and what happens where no route matches.
import { problem, type Reply, reply } from '../reply.ts'
import type { ExchangeRun, Target } from '../run.ts'

/** Answers with one prepared reply. */
export class RespondTarget implements Target {
  readonly #reply: Reply

  constructor(prepared: Reply) {
    this.#reply = prepared
  }

  handle(run: ExchangeRun): void {
    run.respond(this.#reply)
  }
}

/** Answers with a redirect; the query is kept unless the new place has one of its own. */
export class RedirectTarget implements Target {
  readonly #status: number
  readonly #location: (run: ExchangeRun) => string
  readonly #hasQuery: boolean

  constructor(status: number, location: (run: ExchangeRun) => string, hasQuery: boolean) {
    this.#status = status
    this.#location = location
    this.#hasQuery = hasQuery
  }

  handle(run: ExchangeRun): void {
    const { query } = run
    const place = this.#location(run)
    const location = this.#hasQuery || query === '' ? place : `${place}?${query}`
    run.respond(reply(this.#status, { Location: location }))
  }
}

/** 404, or 405 with Allow (RFC 9110 15.5.6) where only the method failed. */
export class UnmatchedTarget implements Target {
  readonly #notFound: Reply = problem('route_not_found')

  // OPTIONS * asks about the server as a whole, which is this gateway (RFC 9110 9.3.7).
  readonly #server: Reply = reply(204, { Allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' })

  handle(run: ExchangeRun): void {
    if (run.target === '*') run.respond(this.#server)
    else if (run.allow === null) run.respond(this.#notFound)
    else run.respond(problem('method_not_allowed', { headers: { Allow: run.allow } }))
  }
}

/** The target of a route that takes OPTIONS for preflight requests only: any other OPTIONS gets 405. */
export class PreflightTarget implements Target {
  readonly #target: Target
  readonly #refusal: Reply

  /** @param methods those that the route takes. */
  constructor(target: Target, methods: readonly string[]) {
    this.#target = target
    this.#refusal = problem('method_not_allowed', { headers: { Allow: methods.join(', ') } })
  }

  handle(run: ExchangeRun): void {
    if (run.method === 'OPTIONS') run.respond(this.#refusal)
    else this.#target.handle(run)
  }
}
