// One exchange as a line of JSON, put together by concatenation: on the way of every request, an
// object to be serialized costs several times as much.
import { jsonText } from '../../observability/json-text.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { maskQuery } from './mask-query.ts'

/** Writes lines for one route; everything that is the same for all of them is prepared. */
export class AccessLine {
  readonly #route: string
  readonly #withQuery: boolean
  readonly #headerNames: readonly string[]
  readonly #headerKeys: readonly string[]
  #second = -1
  #secondText = ''

  /** `route` is JSON already. */
  constructor(route: string, withQuery: boolean, headers: readonly string[]) {
    this.#route = `,"route":${route}`
    this.#withQuery = withQuery
    this.#headerNames = [...new Set(headers.map((name) => name.toLowerCase()))]
    this.#headerKeys = this.#headerNames.map((name) => `${jsonText(name)}:`)
  }

  /** The line for a finished exchange, without a line break. */
  write(exchange: Exchange): string {
    let line = `{"level":"info","time":"${this.#time(exchange.startedAtMs)}","kind":"access"`
    line += `,"method":${jsonText(exchange.method)},"scheme":"${exchange.scheme}"`
    line += `,"host":${jsonText(exchange.host)},"path":${jsonText(exchange.path)}`
    if (this.#withQuery && exchange.query !== '') {
      line += `,"query":${jsonText(maskQuery(exchange.query))}`
    }
    line += `,"protocol":"${exchange.protocol}","status":${exchange.status}`
    line += `,"durationMs":${micros(exchange.durationMs)}`
    if (exchange.upstreamDurationMs >= 0)
      line += `,"upstreamMs":${micros(exchange.upstreamDurationMs)}`
    line += `,"requestBytes":${exchange.requestBytes},"responseBytes":${exchange.responseBytes}`
    line += `,"clientIp":${jsonText(exchange.clientIp)}${this.#route}`
    line += optional(',"service":', exchange.service)
    line += optional(',"endpoint":', exchange.endpoint)
    line += `,"attempts":${exchange.attempts}`
    line += optional(',"requestId":', exchange.requestId)
    line += optional(',"error":', exchange.errorCode)
    line += optional(',"detail":', exchange.errorDetail)
    line += optional(',"consumer":', exchange.consumer === null ? null : exchange.consumer.id)
    line += optional(',"userAgent":', exchange.requestHeader('user-agent'))
    if (this.#headerNames.length > 0) line += this.#headers(exchange)
    return `${line}}`
  }

  #headers(exchange: Exchange): string {
    let fields = ''
    for (let index = 0; index < this.#headerNames.length; index++) {
      const name = this.#headerNames[index]!
      const value = exchange.requestHeader(name)
      if (value === null) continue
      const shown = name === 'referer' ? maskReferer(value) : value
      fields += `${fields === '' ? '' : ','}${this.#headerKeys[index]}${jsonText(shown)}`
    }
    return `,"headers":{${fields}}`
  }

  /** ISO 8601 with milliseconds. The part above the second is kept, since most lines share it. */
  #time(wallMs: number): string {
    const second = Math.floor(wallMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#secondText = new Date(second * 1000).toISOString().slice(0, 20)
    }
    const ms = Math.floor(wallMs) - second * 1000
    return `${this.#secondText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
  }
}

function optional(key: string, value: string | null): string {
  return value === null ? '' : key + jsonText(value)
}

/** Milliseconds to the microsecond. */
function micros(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

/** A URL's query holds the same secrets in the next request's Referer. */
function maskReferer(url: string): string {
  const mark = url.indexOf('?')
  return mark < 0 ? url : url.slice(0, mark + 1) + maskQuery(url.slice(mark + 1))
}
