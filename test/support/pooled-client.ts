// A client that keeps its connections and uses them again, as every service and load balancer does, and
// that forgives nothing: a kept connection that ends in the middle of a request is an error.
import http from 'node:http'

/** A pool of connections to one gateway. */
export class PooledClient {
  /** Answers that came on a connection which had served another request before. */
  reused = 0
  readonly #port: number
  readonly #agent: http.Agent

  constructor(port: number, connections: number) {
    this.#port = port
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: connections })
  }

  /** Asks once. @returns status and body. @throws when the connection fails. */
  get(path: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const request = http.get({
      agent: this.#agent,
      host: '127.0.0.1',
      port: this.#port,
      path,
    })
    request.on('error', reject)
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        if (request.reusedSocket) this.reused++
        resolve(`${response.statusCode} ${text}`)
      })
    })
    return promise
  }

  close(): void {
    this.#agent.destroy()
  }
}
