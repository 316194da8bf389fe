// What a soak sends: every kind of request and of accident, over and over, each waiting for its end.
import http from 'node:http'
import net from 'node:net'

type Deed = (port: number, agent: http.Agent) => Promise<void>

function request(
  port: number,
  agent: http.Agent,
  options: http.RequestOptions,
  pieces: readonly string[] = [],
): Promise<void> {
  return new Promise((resolve) => {
    const sent = http.request({ host: '127.0.0.1', port, agent, ...options }, (answer) => {
      answer.on('data', () => {})
      answer.on('end', resolve)
      answer.on('error', () => resolve())
    })
    sent.on('error', () => resolve())
    for (const piece of pieces) sent.write(piece)
    sent.end()
  })
}

/** Sends bytes, waits for the first that come back or for the end, and then leaves. */
function raw(port: number, bytes: string, leavesAtOnce = false): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.on('data', () => socket.destroy())
    socket.write(bytes, () => {
      if (leavesAtOnce) socket.resetAndDestroy()
    })
  })
}

const UPGRADE =
  'GET /socket HTTP/1.1\r\nHost: soak\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

const deeds: readonly Deed[] = [
  (port, agent) => request(port, agent, { path: '/item' }),
  (port, agent) => request(port, agent, { path: '/item', headers: { connection: 'close' } }),
  (port, agent) => request(port, agent, { path: '/echo', method: 'POST' }, ['x'.repeat(3_000)]),
  (port, agent) =>
    request(port, agent, { path: '/echo', method: 'PUT' }, ['a', 'b'.repeat(70_000)]),
  (port, agent) => request(port, agent, { path: '/big' }),
  (port, agent) => request(port, agent, { path: '/generation-0' }),
  (port, agent) => request(port, agent, { path: '/reset' }),
  (port, agent) => request(port, agent, { path: '/cut' }),
  (port) => raw(port, 'NONSENSE\r\n\r\n'),
  (port) => raw(port, 'GET /../ HTTP/1.1\r\nHost: soak\r\n\r\n'),
  (port) => raw(port, 'POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: 99\r\n\r\nhalf', true),
  (port) => raw(port, 'GET /big HTTP/1.1\r\nHost: soak\r\n\r\n'),
  (port) => raw(port, 'GET /item HT', true),
  (port) => raw(port, UPGRADE),
]

/** Keeps `lanes` deeds going at once until told to stop; resolves when the last has ended. */
export class Traffic {
  done = 0
  #isOver = false
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 32 })
  readonly #lanes: Promise<void>[]

  constructor(port: number, lanes: number) {
    this.#lanes = Array.from({ length: lanes }, (_, lane) => this.#run(port, lane))
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#lanes)
    this.#agent.destroy()
  }

  async #run(port: number, lane: number): Promise<void> {
    for (let turn = lane; !this.#isOver; turn++) {
      await deeds[turn % deeds.length]!(port, this.#agent)
      this.done++
    }
  }
}

/** The service of a soak: answers, echoes, fails in every way, and switches protocols. */
export async function startUpstream(): Promise<http.Server> {
  const big = Buffer.alloc(300_000, 'x')
  const server = http.createServer((incoming, answer) => {
    incoming.on('error', () => {})
    if (incoming.url === '/echo') incoming.pipe(answer)
    else if (incoming.url === '/big') answer.end(big)
    else if (incoming.url === '/reset') incoming.socket.resetAndDestroy()
    else if (incoming.url === '/cut') {
      answer.writeHead(200, { 'content-length': 1_000 })
      answer.write('not all', () => incoming.socket.destroy())
    } else answer.end('{"id":1}')
  })
  server.on('upgrade', (_, socket) => {
    socket.on('error', () => {})
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
    )
    socket.on('end', () => socket.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
