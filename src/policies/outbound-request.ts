// Calls that policies make to other services (an authorization service, a token endpoint): bounded in
// time, bytes and number, never redirected, and never in clear text unless that was allowed.
import { z } from 'zod'

/** How calls are bounded. */
export interface OutboundBounds {
  /** From asking for the call to the last byte of its answer, waiting in the queue included. */
  readonly timeoutMs: number
  /** Bytes of an answer's body, after decompression. */
  readonly bodyBytesMax: number
  readonly concurrencyMax: number
  /** Calls that may wait for others to end; one more fails at once. */
  readonly queueMax: number
  /** Whether `http:` may leave this machine. */
  readonly allowHttp: boolean
}

/** One call. */
export interface OutboundRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>> | Headers
  readonly body?: string
  /** Whether it may be sent again when a kept connection turns out to have died. */
  readonly isRepeatable: boolean
}

/** An answer with its whole body. A redirect is an answer like any other. */
export interface OutboundAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

/** Why a call has no answer. */
export type OutboundReason =
  | 'timeout'
  | 'too_large'
  | 'unreachable'
  | 'overloaded'
  | 'insecure'
  | 'closed'

/** A call failed. The message holds neither what was sent nor the query of its URL. */
export class OutboundFailure extends Error {
  readonly reason: OutboundReason

  constructor(reason: OutboundReason, message: string) {
    super(message)
    this.name = 'OutboundFailure'
    this.reason = reason
  }
}

/** Codes with which a kept connection shows that the other side had closed it before. */
const DEAD_CONNECTION = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** Makes calls within bounds. */
export class OutboundRequests {
  readonly #bounds: OutboundBounds
  readonly #calls = new Set<AbortController>()
  readonly #waiting: (() => void)[] = []
  #running = 0
  #isClosed = false

  constructor(bounds: OutboundBounds) {
    this.#bounds = bounds
  }

  /**
   * Makes a call and reads the whole answer.
   * @throws OutboundFailure when there is none; nothing else.
   */
  async send(request: OutboundRequest): Promise<OutboundAnswer> {
    const { timeoutMs, allowHttp } = this.#bounds
    const problem = outboundUrlProblem(request.url, allowHttp)
    if (problem !== null) throw new OutboundFailure('insecure', problem)
    if (this.#isClosed) throw closed()
    const call = new AbortController()
    const late = setTimeout(() => call.abort(timedOut(timeoutMs)), timeoutMs)
    this.#calls.add(call)
    try {
      await this.#enter(call.signal)
      try {
        return await this.#attempt(request, call.signal)
      } finally {
        this.#leave()
      }
    } catch (error) {
      throw call.signal.aborted ? call.signal.reason : failureOf(error)
    } finally {
      clearTimeout(late)
      this.#calls.delete(call)
    }
  }

  /** Ends all calls. */
  dispose(): void {
    this.#isClosed = true
    for (const call of this.#calls) call.abort(closed())
  }

  async #attempt(request: OutboundRequest, signal: AbortSignal): Promise<OutboundAnswer> {
    try {
      return await this.#fetch(request, signal)
    } catch (error) {
      if (!request.isRepeatable || !DEAD_CONNECTION.has(codeOf(error))) throw error
      return this.#fetch(request, signal)
    }
  }

  async #fetch(request: OutboundRequest, signal: AbortSignal): Promise<OutboundAnswer> {
    const { url, method, headers, body = null } = request
    const response = await fetch(url, { method, headers, body, redirect: 'manual', signal })
    const chunks: Uint8Array[] = []
    let length = 0
    if (response.body !== null) {
      for await (const chunk of response.body) {
        length += chunk.length
        if (length > this.#bounds.bodyBytesMax) {
          throw new OutboundFailure('too_large', 'the answer is too large')
        }
        chunks.push(chunk)
      }
    }
    return { status: response.status, headers: response.headers, body: Buffer.concat(chunks) }
  }

  #enter(signal: AbortSignal): Promise<void> | void {
    if (this.#running < this.#bounds.concurrencyMax) {
      this.#running++
      return
    }
    if (this.#waiting.length >= this.#bounds.queueMax) {
      throw new OutboundFailure('overloaded', 'too many calls are waiting')
    }
    return new Promise((resolve, reject) => {
      const abandon = (): void => {
        const place = this.#waiting.indexOf(go)
        if (place !== -1) this.#waiting.splice(place, 1)
        reject(signal.reason)
      }
      const go = (): void => {
        signal.removeEventListener('abort', abandon)
        resolve()
      }
      signal.addEventListener('abort', abandon, { once: true })
      this.#waiting.push(go)
    })
  }

  /** Hands the place on to whoever has waited longest. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }
}

function timedOut(timeoutMs: number): OutboundFailure {
  return new OutboundFailure('timeout', `no complete answer within ${timeoutMs} ms`)
}

function closed(): OutboundFailure {
  return new OutboundFailure('closed', 'the configuration that made this call is gone')
}

function codeOf(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause ?? error
  const { code } = cause as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

/** The message of a foreign error may quote what was sent; its code never does. */
function failureOf(error: unknown): OutboundFailure {
  if (error instanceof OutboundFailure) return error
  const code = codeOf(error)
  return new OutboundFailure('unreachable', code === '' ? 'the call failed' : `failed: ${code}`)
}

const LOOPBACK = /^(localhost|.+\.localhost|127(\.[0-9]+){3}|\[::1\])$/

/** Whether this URL stays on this machine. */
export function isLoopbackUrl(url: URL): boolean {
  return LOOPBACK.test(url.hostname)
}

/** What is wrong with the URL of a service that is called, in words for the settings; null if nothing is. */
export function outboundUrlProblem(text: string, allowHttp: boolean): string | null {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return 'expected a URL that begins with https:// or http://'
  }
  if (url.username !== '' || url.password !== '') return 'a URL must not hold a password'
  if (url.hash !== '') return 'a URL that is called has no fragment'
  if (url.protocol === 'http:' && !allowHttp && !isLoopbackUrl(url)) {
    return 'this would send credentials in clear text; use https, or set `allowHttp: true`'
  }
  return null
}

/** The setting that lets `http:` URLs be called. */
export function allowHttpSetting() {
  return z
    .boolean()
    .default(false)
    .describe(
      'Whether `http:` URLs beyond this machine may be called. Whoever is between can read all.',
    )
}
