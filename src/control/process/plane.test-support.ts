// A data plane for tests of the process model: it answers every request with one line that says who
// answered, and can be made to fail in all the ways a thread can.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { parentPort, threadId } from 'node:worker_threads'
import type { Document } from '../../config/schema.ts'
import type { DrainPlan } from '../../gateway/drain.ts'
import type { DataPlane, ListenSource } from '../../gateway/plane.ts'
import type { EndpointsUpdate } from '../../gateway/plane-services.ts'

/**
 * Requests: `/crash`, `/exit`, `/loop` end or block the thread; `/block/FILE` waits in native code for
 * the other end of a named pipe; `/post` posts to the parent what nobody expects; `/slow` answers after 300 ms; all others at once. A document whose `via` is `refused-by-N` has a problem in thread N, `kills-N` ends it.
 */
export class TestPlane implements DataPlane {
  readonly #index: number
  readonly #prepared = new Map<number, Document>()
  readonly #servers: net.Server[] = []
  /** Whether it asked for something already: before that it may not be closed politely. */
  readonly #sockets = new Map<net.Socket, boolean>()
  #generation = 0
  #via = ''
  #services = 0
  #running = 0
  #isDraining = false

  constructor(index: number) {
    this.#index = index
  }

  async prepare(document: Document, generation: number): Promise<{ problems: string[] }> {
    await new Promise((resolve) => setImmediate(resolve))
    if (document.via === `refused-by-${this.#index}`)
      return { problems: [`thread ${this.#index} refuses`] }
    if (document.via === `kills-${this.#index}`) process.exit(9)
    this.#prepared.set(generation, document)
    return { problems: [] }
  }

  switchTo(generation: number): void {
    const document = this.#prepared.get(generation)
    if (document === undefined) throw new Error(`generation ${generation} is not prepared`)
    this.#prepared.clear()
    this.#generation = generation
    this.#via = `${document.via} routes=${document.routes.length}`
  }

  discard(generation: number): void {
    this.#prepared.delete(generation)
  }

  async listen(_: string, source: ListenSource): Promise<{ port: number }> {
    const server = net.createServer((socket) => this.#serve(socket))
    this.#servers.push(server)
    server.listen(source)
    await once(server, 'listening')
    return { port: (server.address() as AddressInfo).port }
  }

  updateEndpoints(update: unknown): void {
    this.#services = (update as EndpointsUpdate).services.length
  }

  async drain({ timeoutMs }: DrainPlan): Promise<number> {
    this.#isDraining = true
    for (const server of this.#servers) server.close()
    const deadline = performance.now() + timeoutMs
    const isFresh = () => [...this.#sockets.values()].includes(false)
    while ((this.#running > 0 || isFresh()) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    for (const socket of this.#sockets.keys()) socket.end()
    return 0
  }

  async close(): Promise<void> {
    for (const server of this.#servers) server.close()
    for (const socket of this.#sockets.keys()) socket.destroy()
  }

  stats(): Record<string, number> {
    return { sockets: this.#sockets.size, generation: this.#generation }
  }

  #serve(socket: net.Socket): void {
    this.#sockets.set(socket, false)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {})
    socket.setEncoding('latin1').on('data', (chunk: unknown) => {
      this.#sockets.set(socket, true)
      const path = /^GET (\S+)/.exec(String(chunk))?.[1]
      if (path === '/crash')
        setImmediate(() => {
          throw new Error('a policy failed later')
        })
      else if (path === '/exit') process.exit(7)
      else if (path === '/loop') for (;;) Math.random()
      else if (path?.startsWith('/block/')) readFileSync(path.slice('/block'.length))
      else if (path === '/post') {
        for (const odd of ['text', null, 5, {}, { text: 1 }]) parentPort!.postMessage(odd)
        this.#answer(socket)
      } else if (path === '/slow') this.#answerLater(socket)
      else this.#answer(socket)
    })
  }

  #answerLater(socket: net.Socket): void {
    this.#running++
    setTimeout(() => {
      this.#running--
      this.#answer(socket)
    }, 300)
  }

  #answer(socket: net.Socket): void {
    const body = JSON.stringify({
      generation: this.#generation,
      via: this.#via,
      thread: this.#index,
      threadId,
      pid: process.pid,
      services: this.#services,
    })
    const connection = this.#isDraining ? 'close' : 'keep-alive'
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: ${connection}\r\n\r\n${body}`,
    )
    if (this.#isDraining) socket.end()
  }
}
