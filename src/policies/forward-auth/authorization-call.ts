// One question to the authorization service, and what its answer means.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { type OutboundAnswer, OutboundFailure, type OutboundRequests } from '../outbound-request.ts'

/** The service did not decide; the message is for the log. */
export class NoDecision extends Error {}

/** The service's word. */
export interface Decision {
  /** What the client gets instead of the service behind the gateway; null for a pass. */
  readonly denial: Reply | null
  readonly headers: Headers
}

/** What is asked, and what of a denial goes on. */
export interface CallSettings {
  readonly url: string
  readonly requestHeaders: readonly string[]
  readonly denialHeaders: readonly string[]
}

const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** Asks for one route. */
export class AuthorizationCall {
  readonly #settings: CallSettings
  readonly #lowerNames: readonly string[]
  readonly #requests: OutboundRequests
  readonly #reply: PolicyEnvironment['reply']

  constructor(
    settings: CallSettings,
    requests: OutboundRequests,
    reply: PolicyEnvironment['reply'],
  ) {
    this.#settings = settings
    this.#lowerNames = settings.requestHeaders.map((name) => name.toLowerCase())
    this.#requests = requests
    this.#reply = reply
  }

  /** @throws NoDecision when the service cannot be asked, or says something that is neither yes nor no. */
  async decide(exchange: Exchange): Promise<Decision> {
    const headers = this.#headers(exchange)
    let answer: OutboundAnswer
    try {
      answer = await this.#requests.send({
        url: this.#settings.url,
        method: 'GET',
        headers,
        isRepeatable: true,
      })
    } catch (error) {
      if (error instanceof OutboundFailure) throw new NoDecision(error.message)
      throw error
    }
    const { status } = answer
    if (status >= 200 && status <= 299) return { denial: null, headers: answer.headers }
    if (status === 401 || status === 403 || REDIRECTS.has(status)) {
      return { denial: this.#denial(answer), headers: answer.headers }
    }
    throw new NoDecision(`it answered ${status}`)
  }

  #headers(exchange: Exchange): Headers {
    const headers = new Headers()
    const { requestHeaders } = this.#settings
    for (let index = 0; index < requestHeaders.length; index++) {
      const value = exchange.requestHeader(this.#lowerNames[index]!)
      if (value === null) continue
      headers.set(requestHeaders[index]!, value)
      // Of repeated lines each reader may believe another; all get the one that was decided on.
      if (exchange.request.count(this.#lowerNames[index]!) > 1) {
        exchange.setRequestHeader(requestHeaders[index]!, value)
      }
    }
    headers.set('X-Forwarded-Method', exchange.method)
    headers.set('X-Forwarded-Proto', exchange.scheme)
    headers.set('X-Forwarded-Host', exchange.authority)
    headers.set('X-Forwarded-Uri', exchange.target)
    headers.set('X-Forwarded-For', exchange.clientIp)
    return headers
  }

  #denial({ status, headers, body }: OutboundAnswer): Reply {
    const passed: Record<string, string | readonly string[]> = {}
    for (const name of this.#settings.denialHeaders) {
      const isCookie = name.toLowerCase() === 'set-cookie'
      const value = isCookie ? headers.getSetCookie() : headers.get(name)
      if (value !== null && value.length > 0) passed[name] = value
    }
    try {
      return this.#reply(status, passed, body)
    } catch {
      throw new NoDecision('a denial with a header that cannot be passed on')
    }
  }
}
