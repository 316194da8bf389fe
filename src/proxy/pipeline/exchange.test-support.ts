// Exchanges for unit tests: real ones, read by the production parser, without a connection.
import { parseRequestHead, parseResponseHead } from '../http/parse-head.ts'
import type { Consumer } from './consumer.ts'
import { Exchange } from './exchange.ts'

/** What a test says of an exchange; the rest is an unremarkable GET. */
export interface ExchangeParts {
  readonly method?: string
  readonly target?: string
  readonly host?: string
  /** Field lines without CRLF, besides Host. */
  readonly fields?: readonly string[]
  readonly clientIp?: string
  readonly scheme?: 'http' | 'https'
  readonly params?: Readonly<Record<string, string>>
  readonly route?: string
  readonly service?: string
  readonly consumer?: Consumer
  readonly slots?: number
}

class BareExchange extends Exchange {
  onTimeout(): void {}
}

/** An exchange whose request head has been read. */
export function testExchange(parts: ExchangeParts = {}): Exchange {
  const { method = 'GET', target = '/', host = 'shop.example', fields = [] } = parts
  const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...fields]
  const head = parseRequestHead(`${lines.join('\r\n')}\r\n\r\n`, {
    targetBytesMax: 1_000_000,
    headBytesMax: 1_000_000,
    headersMax: 1_000,
    bodyBytesMax: 1_000_000,
    headTimeoutMs: 1_000,
    bodyIdleTimeoutMs: 1_000,
    bodyBytesPerSecondMin: 0,
    bodyRateGraceMs: 1_000,
    keepAliveTimeoutMs: 1_000,
    requestsPerConnectionMax: 1_000,
  })
  if (typeof head === 'string') throw new Error(`the test's request head is refused: ${head}`)
  const { clientIp: ip = '192.0.2.1', scheme = 'http' } = parts
  const exchange = new BareExchange(
    head,
    { ip, port: 50_000, scheme, tlsVersion: null },
    1_000,
    1_767_225_600_123,
  )
  const { params } = parts
  exchange.pathParameters =
    params === undefined || params === null ? null : { parametersOf: () => ({ ...params }) }
  exchange.route = parts.route === undefined ? null : { id: parts.route }
  exchange.service = parts.service ?? null
  exchange.consumer = parts.consumer ?? null
  exchange.slots = new Array(parts.slots ?? 8).fill(null)
  return exchange
}

/** The upstream's answer has arrived. */
export function answer(exchange: Exchange, status: number, fields: readonly string[] = []): void {
  const lines = [`HTTP/1.1 ${status} Reason`, ...fields]
  const head = parseResponseHead(`${lines.join('\r\n')}\r\n\r\n`)
  if (head === null) throw new Error("the test's response head is refused")
  exchange.response = head
  exchange.status = status
}
