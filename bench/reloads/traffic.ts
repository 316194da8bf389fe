// What goes on while the gateway is reloaded: WebSockets that stay open and are used now and then, and
// requests at an even rate, whoever answers how slowly.
import http from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'

const PER_SECOND = 200
const REQUEST_TIMEOUT_MS = 30_000
/** Every so many requests come on a connection of their own. */
const FRESH_EVERY = 4
const PATHS = ['/plain/item', '/chain/item'] as const
const BODY = '{"id":1}'
const ECHO_TIMEOUT_MS = 30_000

/** The service of everything: answers, and sends back what comes through a WebSocket. */
export async function startService(): Promise<http.Server> {
  const server = http.createServer({ keepAliveTimeout: 0 }, (_, answer) => answer.end(BODY))
  server.on('upgrade', (_, socket) => {
    socket.on('error', () => {})
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    socket.pipe(socket)
  })
  // On all addresses of the loopback interface: some of the configurations have more endpoints.
  await new Promise<void>((resolve) => server.listen(0, resolve))
  return server
}

/** The port of a server that listens. */
export function portOf(server: http.Server): number {
  return (server.address() as AddressInfo).port
}

/** One WebSocket that is open. */
class WebSocketClient {
  /** When it was closed, by performance.now(); 0 while it is open. */
  closedAt = 0
  #received = ''
  #sent = 0
  #onText: (() => void) | null = null
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
      this.#onText?.()
    })
    const closed = (): void => {
      this.closedAt ||= performance.now()
      this.#onText?.()
    }
    socket.on('end', closed)
    socket.on('error', closed)
    socket.on('close', closed)
  }

  /** The head of the answer. @throws when it is not an upgrade. */
  async upgraded(): Promise<this> {
    await this.#until('\r\n\r\n')
    if (this.#received.startsWith('HTTP/1.1 101 ')) {
      this.#received = ''
      return this
    }
    throw new Error(`no WebSocket: ${this.#received}`)
  }

  /** Whether a message comes back. */
  async echoes(): Promise<boolean> {
    if (this.closedAt > 0) return false
    const message = `message ${this.#sent++};`
    this.#socket.write(message)
    const isBack = await this.#until(message)
    const isAlone = this.#received === message
    this.#received = ''
    return isBack && isAlone
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #until(text: string): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(false), ECHO_TIMEOUT_MS)
      const settle = (isThere: boolean): void => {
        clearTimeout(timer)
        this.#onText = null
        resolve(isThere)
      }
      this.#onText = () => {
        if (this.#received.includes(text)) settle(true)
        else if (this.closedAt > 0) settle(false)
      }
      this.#onText()
    })
  }
}

/** All WebSockets. */
export class WebSockets {
  readonly #clients: readonly WebSocketClient[]
  #next = 0
  /** Messages that did not come back. */
  lost = 0
  messages = 0

  private constructor(clients: readonly WebSocketClient[]) {
    this.#clients = clients
  }

  static async open(port: number, count: number): Promise<WebSockets> {
    const clients: WebSocketClient[] = []
    for (let index = 0; index < count; index++) {
      const socket = connect(port, '127.0.0.1')
      socket.write(
        'GET /sockets HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      )
      clients.push(await new WebSocketClient(socket).upgraded())
    }
    return new WebSockets(clients)
  }

  get closed(): number {
    return this.closedAt().length
  }

  /** When those were closed that are, by performance.now(). */
  closedAt(): number[] {
    return this.#clients.map(({ closedAt }) => closedAt).filter((at) => at > 0)
  }

  /** Uses the next few, in turn. */
  async use(count: number): Promise<void> {
    const chosen = Array.from({ length: count }, () => {
      this.#next = (this.#next + 1) % this.#clients.length
      return this.#clients[this.#next]!
    })
    const results = await Promise.all(chosen.map((client) => client.echoes()))
    this.messages += count
    this.lost += results.filter((isBack) => !isBack).length
  }

  useAll(): Promise<void> {
    return this.use(this.#clients.length)
  }

  destroy(): void {
    for (const client of this.#clients) client.destroy()
  }
}

/** Requests at an even rate. */
export class OpenLoop {
  done = 0
  readonly failures: string[] = []
  readonly durationsMs: number[] = []
  readonly #port: number
  readonly #agent = new http.Agent({ keepAlive: true })
  readonly #running = new Set<Promise<void>>()
  #isOver = false

  constructor(port: number) {
    this.#port = port
    const began = performance.now()
    let sent = 0
    const tick = (): void => {
      if (this.#isOver) return
      const due = ((performance.now() - began) / 1000) * PER_SECOND
      for (; sent < due; sent++) this.#send(sent)
      setTimeout(tick, 1000 / PER_SECOND)
    }
    tick()
  }

  /** Sends so many at once. */
  burst(count: number): void {
    for (let index = 0; index < count; index++) this.#send(index)
  }

  /** Sends no more; resolves when the last has its answer. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
    this.#agent.destroy()
  }

  #send(index: number): void {
    const running = this.#request(index).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  #request(index: number): Promise<void> {
    const began = performance.now()
    const agent = index % FRESH_EVERY === 0 ? false : this.#agent
    const path = PATHS[(index >> 1) % PATHS.length]!
    return new Promise((resolve) => {
      const settle = (failure: string | null): void => {
        clearTimeout(timer)
        if (failure === null) this.durationsMs.push(performance.now() - began)
        else this.failures.push(`${path}: ${failure}`)
        this.done++
        resolve()
      }
      const timer = setTimeout(
        () => sent.destroy(new Error('no answer in time')),
        REQUEST_TIMEOUT_MS,
      )
      const sent = http.get({ host: '127.0.0.1', port: this.#port, path, agent }, (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        answer.on('error', (error) => settle(error.message))
        answer.on('end', () => {
          const isGood = answer.statusCode === 200 && text === BODY
          settle(isGood ? null : `${answer.statusCode} ${text}`)
        })
      })
      sent.on('error', (error) => settle(error.message))
    })
  }
}
