// A client of a simulated gateway: its request goes through the production exchange, and it may try
// again or leave.
import type { RequestHead } from '../../src/proxy/http/message-head.ts'
import { parseRequestHead } from '../../src/proxy/http/parse-head.ts'
import type { ServerConnection } from '../../src/proxy/http/server-connection.ts'
import { ExchangeRun } from '../../src/proxy/pipeline/run.ts'
import { IMPORTANCES } from '../../src/proxy/upstream/concurrency/importance.ts'
import type { SimulatedGateway } from './simulated-gateway.ts'

/** How clients are. */
export interface ClientKind {
  /** By importance, low first: how many of each among all. */
  readonly importances: readonly number[]
  /** The part that sends POST, which nobody may send twice. */
  readonly posts: number
  /** How often one tries again by itself. */
  readonly retries: number
  /** The mean of its pause before. */
  readonly pauseMs: number
  /** The part that leaves after `patienceMs`. */
  readonly leaving: number
  readonly patienceMs: number
  /** By gateway: how many of the clients go there. */
  readonly gateways: readonly number[]
}

/** How a request ended. */
export interface Answer {
  readonly id: number
  readonly isGood: boolean
  /** 0 for one that was left. */
  readonly status: number
  readonly attempts: number
  readonly durationMs: number
  /** How often the gateway ended it. */
  readonly endings: number
}

const LIMITS = {
  targetBytesMax: 1000,
  headBytesMax: 1000,
  headersMax: 10,
  bodyBytesMax: 1000,
  headTimeoutMs: 1000,
  bodyIdleTimeoutMs: 1000,
  bodyBytesPerSecondMin: 0,
  bodyRateGraceMs: 1000,
  keepAliveTimeoutMs: 1000,
  requestsPerConnectionMax: 1000,
}
const INFO = { ip: '192.0.2.1', port: 50_000, scheme: 'http', tlsVersion: null } as const

/** The part of a ServerConnection that exchanges use. */
class ClientSide {
  readonly host = { limits: LIMITS }
  readonly clientIp = INFO.ip
  closing = false
  begun = 0
  ended = 0
  readonly #onEnd: () => void

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd
  }

  startResponse(): void {
    this.begun += 1
  }

  writeInterim(): void {}

  writeData(): boolean {
    return true
  }

  flush(): boolean {
    return true
  }

  endResponse(): void {
    this.ended += 1
    this.#onEnd()
  }

  abort(): void {
    this.ended += 1
    this.#onEnd()
  }

  pauseRequest(): void {}

  resumeRequest(): void {}
}

/** One client, with one wish. */
export class SimulatedClient {
  readonly gateway: number
  readonly importance: number
  readonly isPost: boolean
  readonly patienceMs: number
  readonly #kind: Partial<ClientKind>
  readonly #gateways: readonly SimulatedGateway[]
  readonly #random: () => number
  #retriesLeft: number
  #run: ExchangeRun | null = null
  #id = 0

  constructor(
    kind: Partial<ClientKind>,
    gateways: readonly SimulatedGateway[],
    random: () => number,
  ) {
    this.#kind = kind
    this.#gateways = gateways
    this.#random = random
    this.gateway = drawn(kind.gateways ?? gateways.map(() => 1), random)
    this.importance = drawn(kind.importances ?? [0, 1], random)
    this.isPost = random() < (kind.posts ?? 0)
    this.patienceMs = random() < (kind.leaving ?? 0) ? (kind.patienceMs ?? 1000) : 0
    this.#retriesLeft = kind.retries ?? 0
  }

  /** Sends its request, with a number of its own; `onAnswer` hears once. */
  send(id: number, onAnswer: (answer: Answer) => void): void {
    const { threads } = this.#gateways[this.gateway]!
    const { snapshot } = threads[Math.floor(this.#random() * threads.length)]!
    this.#id = id
    const side = new ClientSide(() => {
      // The exchange's last breath comes after the connection's.
      const status = side.begun === 0 ? 0 : run.status
      const durationMs = snapshot.clock.now() - run.receivedAt
      const { attempts } = run
      const isGood = status >= 200 && status < 500
      if (this.#run === run) this.#run = null
      onAnswer({ id, isGood, status, attempts, durationMs, endings: side.ended })
    })
    const connection = side as unknown as ServerConnection
    const run = new ExchangeRun(connection, this.#head(id), INFO, false, snapshot)
    this.#run = run
    run.start()
  }

  /** It has no more patience for the request of this number. */
  leave(id: number): void {
    if (this.#id === id) this.#run?.onRequestFailed('client_closed')
  }

  /** In how many ms it tries again; -1 if it gives up. */
  againAfterMs(): number {
    if (this.#retriesLeft === 0) return -1
    this.#retriesLeft -= 1
    return -Math.log(1 - this.#random()) * (this.#kind.pauseMs ?? 500)
  }

  #head(id: number): RequestHead {
    const start = this.isPost ? 'POST' : 'GET'
    const length = this.isPost ? 'Content-Length: 0\r\n' : ''
    const target = `/${IMPORTANCES[this.importance]}/${id}`
    const raw = `${start} ${target} HTTP/1.1\r\nHost: shop.example\r\n${length}\r\n`
    const head = parseRequestHead(raw, LIMITS)
    if (typeof head === 'string') throw new Error(head)
    return head
  }
}

/** An index, each as often as its weight says. */
function drawn(weights: readonly number[], random: () => number): number {
  let left = random() * weights.reduce((total, weight) => total + weight, 0)
  const index = weights.findIndex((weight) => {
    left -= weight
    return left < 0
  })
  return Math.max(0, index)
}
