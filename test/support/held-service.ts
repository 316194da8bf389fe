// A service that answers only when the test says so; a stream of events begins at once and has no end.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { Changes } from './changes.ts'

/** Keeps every request until it is released; knows how many it ever had at once. */
export class HeldService {
  /** The paths that came, in their order. */
  readonly paths: string[] = []
  inFlightMax = 0
  readonly #held: { readonly path: string; readonly response: http.ServerResponse }[] = []
  readonly #changes = new Changes()
  readonly #server: http.Server

  private constructor() {
    this.#server = http.createServer((request, response) => {
      request.resume()
      const held = { path: request.url!, response }
      this.paths.push(held.path)
      if (held.path.endsWith('/events')) {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' })
        response.write('data: begun\n\n')
        this.#changes.notify()
        return
      }
      this.#held.push(held)
      response.on('close', () => {
        const index = this.#held.indexOf(held)
        if (index !== -1) this.#held.splice(index, 1)
        this.#changes.notify()
      })
      this.inFlightMax = Math.max(this.inFlightMax, this.#held.length)
      this.#changes.notify()
    })
    this.#server.on('upgrade', (request, socket) => {
      this.paths.push(request.url!)
      socket.on('error', () => {})
      socket.on('end', () => socket.end())
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      )
      this.#changes.notify()
    })
  }

  static async start(): Promise<HeldService> {
    const service = new HeldService()
    service.#server.listen(0, '127.0.0.1')
    await once(service.#server, 'listening')
    return service
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get held(): number {
    return this.#held.length
  }

  /** Resolves when so many requests ever came. */
  async came(count: number): Promise<void> {
    await this.#changes.until(
      () => (this.paths.length >= count ? true : null),
      () => `request ${count}; there are ${this.paths}`,
    )
  }

  /** Answers the one that has waited longest. */
  release(status = 200): void {
    this.#held.shift()!.response.writeHead(status).end('done')
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}
