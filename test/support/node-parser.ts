// Node's own HTTP parser as a second opinion: bytes in, what it read out. Public API only: a server
// and a client that are handed the ends of in-memory pipes.
import {
  type ClientRequest,
  createServer,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { type Duplex, duplexPair } from 'node:stream'

/** A message as node reads it. Strings are latin1. */
export interface NodeMessage {
  readonly method: string
  readonly url: string
  /** 0 for requests. */
  readonly status: number
  readonly reason: string
  readonly version: string
  /** name, value, name, value, ... */
  readonly fields: readonly string[]
  readonly keepAlive: boolean
  /** Complete body; null when it did not end. */
  readonly body: string | null
  readonly trailers: readonly string[]
}

function messageOf(from: IncomingMessage, keepAlive: boolean, body: string | null): NodeMessage {
  return {
    method: from.method ?? '',
    url: from.url ?? '',
    status: from.statusCode ?? 0,
    reason: from.statusMessage ?? '',
    version: from.httpVersion,
    fields: from.rawHeaders,
    keepAlive,
    body,
    trailers: from.rawTrailers,
  }
}

const server = createServer({
  requireHostHeader: false,
  maxHeaderSize: 1 << 20,
  requestTimeout: 0,
  headersTimeout: 0,
  keepAliveTimeout: 0,
})
server.maxHeadersCount = 0

const collectors = new WeakMap<Duplex, Collector>()
interface Collector {
  readonly messages: NodeMessage[]
  failed: boolean
}

server.on('request', (request, response) => {
  const collector = collectors.get(request.socket)
  const parts: Buffer[] = []
  const index = collector?.messages.length ?? 0
  collector?.messages.push(messageOf(request, response.shouldKeepAlive, null))
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('error', () => {})
  request.on('end', () => {
    const body = Buffer.concat(parts).toString('latin1')
    if (collector !== undefined) {
      collector.messages[index] = messageOf(request, response.shouldKeepAlive, body)
    }
    response.end()
  })
})
server.on('checkContinue', (request, response) => server.emit('request', request, response))
server.on('checkExpectation', (request, response) => server.emit('request', request, response))
server.on('clientError', (_error, socket) => {
  const collector = collectors.get(socket)
  if (collector !== undefined) collector.failed = true
  socket.destroy()
})

/** What node makes of the bytes that one client sends before it half-closes. */
export interface NodeReading {
  /** The requests whose heads it took, in order. */
  readonly messages: readonly NodeMessage[]
  /** Whether it then found something that is no HTTP, or an end where none may be. */
  readonly failed: boolean
}

/** Has node's server read these bytes. */
export async function nodeReadsRequests(bytes: Buffer): Promise<NodeReading> {
  const [near, far] = duplexPair()
  const collector: Collector = { messages: [], failed: false }
  collectors.set(far, collector)
  far.on('error', () => {})
  near.on('error', () => {})
  near.resume()
  server.emit('connection', far)
  near.end(bytes)
  await new Promise<void>((resolve) => {
    far.once('close', () => resolve())
    near.once('close', () => resolve())
    near.once('end', () => resolve())
  })
  far.destroy()
  near.destroy()
  return collector
}

/** Has node's client read these bytes as the answer to a request; null when it refuses them. */
export async function nodeReadsResponse(
  bytes: Buffer,
  method: string,
): Promise<NodeMessage | null> {
  const [near, far] = duplexPair()
  far.on('error', () => {})
  far.resume()
  return new Promise((resolve) => {
    const done = (message: NodeMessage | null) => {
      client.destroy()
      far.destroy()
      resolve(message)
    }
    const client: ClientRequest = httpRequest({
      method,
      maxHeaderSize: 1 << 20,
      createConnection: () => near,
    })
    client.on('error', () => done(null))
    client.on('response', (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', () => done(messageOf(response, client.shouldKeepAlive, null)))
      response.on('end', () => {
        const body = response.complete ? Buffer.concat(parts).toString('latin1') : null
        done(messageOf(response, client.shouldKeepAlive, body))
      })
    })
    client.on('upgrade', (response) => done(messageOf(response, false, null)))
    client.end()
    far.end(bytes)
  })
}
