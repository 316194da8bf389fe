// Several instances of one service, each of which can be made to fail in its own way, and clients that
// go on asking while that happens.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** How an instance behaves. `slow` takes a hundred times as long. */
export type Mode = 'ok' | 'refuse' | 'reset' | 'stall' | '500' | '503' | 'slow'

const OK_MS = 5
/** So many heads are kept. */
const RECEIVED_MAX = 10_000

/** One instance. */
export class Instance {
  /** Requests received so far, without those for `/health`. */
  requests = 0
  checks = 0
  /** The heads of these requests. */
  readonly received: http.IncomingMessage[] = []
  /** Further fields of every answer. */
  headers: http.OutgoingHttpHeaders = {}
  /** Whether `/health` fails, whatever becomes of other requests. */
  isSick = false
  /** How long it takes to answer while it is well. */
  okMs = OK_MS
  #mode: Mode = 'ok'
  #server: http.Server | null = null
  #port = 0
  readonly #sockets = new Set<Socket>()

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  async listen(): Promise<void> {
    const server = http.createServer({ keepAliveTimeout: 0 }, (request, response) =>
      this.#answer(request, response),
    )
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** From now on it behaves so. */
  async become(mode: Mode): Promise<void> {
    this.#mode = mode
    if (mode === 'refuse') await this.close()
    else if (this.#server === null) await this.listen()
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    request.resume()
    if (request.url === '/health') {
      this.checks++
      response.writeHead(this.isSick ? 500 : 200).end(this.isSick ? 'sick' : 'well')
      return
    }
    this.requests++
    if (this.received.length < RECEIVED_MAX) this.received.push(request)
    const mode = this.#mode
    if (mode === 'stall') return
    if (mode === 'reset') {
      request.socket.resetAndDestroy()
      return
    }
    const status = mode === '500' || mode === '503' ? Number(mode) : 200
    const end = (): void => {
      response.writeHead(status, this.headers).end(String(this.#port))
    }
    if (mode === 'ok' || mode === 'slow')
      setTimeout(end, mode === 'ok' ? this.okMs : this.okMs * 100)
    else end()
  }
}

/** Starts `count` instances. */
export async function fleet(count: number): Promise<Instance[]> {
  const instances = Array.from({ length: count }, () => new Instance())
  for (const instance of instances) await instance.listen()
  return instances
}

/** What a client got. */
export interface Answer {
  readonly status: number
  /** Of a problem document, else null. */
  readonly code: string | null
  readonly text: string
  readonly headers: http.IncomingHttpHeaders
}

/** Asks once. */
export function ask(port: number, options: http.RequestOptions = {}, body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: '/', ...options }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        text += piece
      })
      response.on('error', reject)
      response.on('end', () => {
        const isProblem = response.headers['content-type'] === 'application/problem+json'
        const code = isProblem ? (JSON.parse(text) as { code: string }).code : null
        resolve({ status: response.statusCode ?? 0, code, text, headers: response.headers })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** Clients that ask one after the other, over connections that are kept. */
export class Load {
  readonly answers: Answer[] = []
  readonly #agent: http.Agent
  readonly #clients: Promise<void>[]
  #isOver = false

  /** @param options what every request carries besides; if it is a function, it is asked for each. */
  constructor(
    port: number,
    clients: number,
    options: http.RequestOptions | (() => http.RequestOptions) = {},
  ) {
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: clients })
    const next = typeof options === 'function' ? options : () => options
    this.#clients = Array.from({ length: clients }, () => this.#run(port, next))
  }

  /** Resolves when so many more answers are there. */
  async more(count: number): Promise<Answer[]> {
    const from = this.answers.length
    while (this.answers.length < from + count) {
      await Promise.race([...this.#clients, new Promise((resolve) => setTimeout(resolve, 5))])
    }
    return this.answers.slice(from, from + count)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#clients)
    this.#agent.destroy()
  }

  async #run(port: number, options: () => http.RequestOptions): Promise<void> {
    while (!this.#isOver) {
      this.answers.push(await ask(port, { agent: this.#agent, ...options() }))
    }
  }
}

/** How many answers had another status than 200. */
export function errorsIn(answers: readonly Answer[]): number {
  return answers.filter(({ status }) => status !== 200).length
}
