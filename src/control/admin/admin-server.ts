// The admin API's listener. Plain node:http with small bounds: it is far from the hot path.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminAddress, AdminServer, ControlView } from '../process/control-view.ts'
import { configurationResource } from './configuration-resource.ts'
import { healthResource } from './health-resource.ts'
import { isOwnHost } from './host-check.ts'
import { metricsResource } from './metrics-resource.ts'
import { readinessResource } from './readiness-resource.ts'
import { type AdminAnswer, type AdminResource, textAnswer } from './resource.ts'

const CONNECTIONS_MAX = 64
const TIMEOUT_MS = 5_000
const HEAD_BYTES_MAX = 8 * 1024

const RESOURCES: readonly AdminResource[] = [
  healthResource,
  readinessResource,
  metricsResource,
  configurationResource,
]

/**
 * Opens the admin API.
 * @throws Error of listen(2) when the address cannot be used.
 */
export async function openAdmin(view: ControlView, address: AdminAddress): Promise<AdminServer> {
  const { host, port, fd } = address
  const server = createServer(
    {
      headersTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      keepAliveTimeout: TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_MS,
      maxHeaderSize: HEAD_BYTES_MAX,
    },
    (request, response) => void serve(view, host, request, response),
  )
  server.maxConnections = CONNECTIONS_MAX
  server.listen(fd === null ? { host, port, exclusive: true } : { fd })
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) }
}

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

async function serve(
  view: ControlView,
  host: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await answerTo(view, host, request).catch((error: Error) =>
    textAnswer(500, error.message),
  )
  response.writeHead(answer.status, {
    'Content-Type': answer.contentType,
    'Content-Length': Buffer.byteLength(answer.body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(answer.status === 405 ? { Allow: 'GET, HEAD' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : answer.body)
}

async function answerTo(
  view: ControlView,
  host: string,
  request: IncomingMessage,
): Promise<AdminAnswer> {
  if (!isOwnHost(request.headers.host, host)) {
    return textAnswer(403, 'The Host header must be an address of this machine, or localhost.')
  }
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return textAnswer(405, 'This API can only be read.')
  const path = request.url?.split('?', 1)[0]
  const resource = RESOURCES.find((candidate) => candidate.path === path)
  if (resource === undefined) {
    return textAnswer(404, `There is: ${RESOURCES.map((known) => known.path).join(', ')}`)
  }
  return resource.answer(view)
}
