// What the shop's services have in common: one small HTTP server that speaks JSON, answers /health,
// tells its starter the port it got, and ends with it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a handler answers with; a text is sent as it is, any other `body` as JSON. */
export interface Answer {
  status: number
  body: unknown
  headers?: Record<string, string>
}

/** Answers one request; `path` has no query and no trailing slash. */
export type Handler = (
  request: IncomingMessage,
  path: string,
) => Answer | undefined | Promise<Answer | undefined>

const bodyBytesMax = 64 * 1024

/** Reads a body; '' if it is too long. */
export async function readText(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > bodyBytesMax) return ''
  }
  return text
}

/** Reads a JSON body; undefined if it is too long or not JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  try {
    return JSON.parse(await readText(request))
  } catch {
    return undefined
  }
}

/** Starts the service on the port in PORT, or on any free one if that is taken (PORT=0 asks for that). */
export function serve(name: string, handle: Handler): void {
  const server = createServer((request, response) => {
    answer(name, handle, request, response).catch((error: unknown) => {
      console.error(`${name}:`, error)
      send(response, { status: 500, body: { error: 'internal' } }, name)
    })
  })
  server.keepAliveTimeout = 60_000

  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error
    server.listen(0, '127.0.0.1')
  })
  server.once('listening', () => {
    const { port } = server.address() as AddressInfo
    if (process.send) process.send({ port })
    else console.log(`${name} listens on http://127.0.0.1:${port}`)
  })
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1')
  endWithStarter()
}

/** Ctrl-C reaches every process of the terminal; the starter decides when the services go. */
function endWithStarter(): void {
  if (!process.connected) return
  process.on('SIGINT', () => {})
  process.on('disconnect', () => process.exit(0))
}

async function answer(
  name: string,
  handle: Handler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').replace(/\?.*$/, '').replace(/\/+$/, '')
  if (path === '/health') return send(response, { status: 200, body: { status: 'ok' } }, name)
  send(response, (await handle(request, path)) ?? notFound, name)
}

const notFound: Answer = { status: 404, body: { error: 'not found' } }

function send(response: ServerResponse, { status, body, headers }: Answer, name: string): void {
  const isText = typeof body === 'string'
  const text = isText ? body : `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': isText ? 'text/plain' : 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-served-by': name,
    ...headers,
  })
  response.end(text)
}
