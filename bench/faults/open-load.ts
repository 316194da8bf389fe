// Requests that come at a fixed rate, whatever becomes of those before. Each is timed from the moment at
// which it was due, so that a pause of the service, or of this process, is in the latencies and not left out.
import http from 'node:http'

/** What became of one request. */
export interface Outcome {
  /** When it was due, in ms on the process's clock. */
  readonly dueAt: number
  /** From then to the last byte of the answer, or to the failure. */
  readonly durationMs: number
  /** 0: the connection failed. */
  readonly status: number
  /** The port of the instance that answered; the code of a problem document; what failed. */
  readonly text: string
}

/** Who calls: what a request carries besides its path, and what is to be remembered of the answer. */
export interface Callers {
  headers(): http.OutgoingHttpHeaders
  answered?(headers: http.OutgoingHttpHeaders, answer: http.IncomingHttpHeaders): void
}

const TICK_MS = 2

/** A steady load on one path. */
export class OpenLoad {
  readonly outcomes: Outcome[] = []
  readonly #options: http.RequestOptions
  readonly #callers: Callers
  readonly #agent = new http.Agent({ keepAlive: true })
  readonly #everyMs: number
  readonly #timer: NodeJS.Timeout
  #dueAt = performance.now()
  #open = 0

  constructor(port: number, path: string, perSecond: number, callers: Callers) {
    this.#options = { host: '127.0.0.1', port, path, agent: this.#agent }
    this.#callers = callers
    this.#everyMs = 1000 / perSecond
    // Several loads of one process must not all send at the same moment.
    this.#dueAt += Math.random() * this.#everyMs
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS)
  }

  /** Those that were due from one moment to another and have ended. */
  between(from: number, to: number): Outcome[] {
    return this.outcomes.filter(({ dueAt }) => dueAt >= from && dueAt < to)
  }

  /** Sends no more, and resolves when all have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    while (this.#open > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    this.#agent.destroy()
  }

  #sendDue(): void {
    const now = performance.now()
    for (; this.#dueAt <= now; this.#dueAt += this.#everyMs) this.#send(this.#dueAt)
  }

  #send(dueAt: number): void {
    this.#open += 1
    const headers = this.#callers.headers()
    let status = 0
    let text = ''
    const end = (failure: string | null): void => {
      this.#open -= 1
      const durationMs = performance.now() - dueAt
      this.outcomes.push({ dueAt, durationMs, status: failure === null ? status : 0, text })
    }
    const request = http.request({ ...this.#options, headers }, (response) => {
      status = response.statusCode ?? 0
      this.#callers.answered?.(headers, response.headers)
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => {
        if (response.headers['content-type'] === 'application/problem+json') {
          text = (JSON.parse(text) as { code: string }).code
        }
        end(null)
      })
      response.on('error', ({ message }) => end(message))
    })
    request.on('error', ({ message }) => {
      if (status !== 0) return
      text = message
      end(message)
    })
    request.end()
  }
}

/** The value below which `share` of the latencies lie; NaN if there are none. */
export function latencyAt(outcomes: readonly Outcome[], share: number): number {
  const sorted = outcomes.map(({ durationMs }) => durationMs).sort((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
}

/** How many did not get what they asked for. */
export function errorsAmong(outcomes: readonly Outcome[]): number {
  return outcomes.filter(({ status }) => status !== 200).length
}
