// One check of one endpoint: a request, or a connection, and what it says. Not on the path of requests,
// so it goes through node's own client.
import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import type { ConnectTarget } from '../../http/upstream-socket.ts'

/** What is asked, and what must come back. */
export interface ProbeSettings {
  /** Null: a connection is enough. */
  readonly path: string | null
  readonly method: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  readonly statuses: readonly { readonly from: number; readonly to: number }[]
  /** Text that must stand in the body, or null. */
  readonly body: string | null
  /** A field that the answer must carry, by lower-case name. */
  readonly field?: { readonly name: string; readonly value: string }
  readonly timeoutMs: number
}

/** Where a check goes. */
export interface ProbeTarget extends ConnectTarget {
  /** The Host that is sent unless the settings name one. */
  readonly authority: string
}

/** The reason when the time is over. */
export const NO_ANSWER = 'no answer in time'

const BODY_BYTES_MAX = 65_536
const REASON_LENGTH_MAX = 200

/**
 * Checks once.
 * @returns null when it passed, else the reason in a few words. Never rejects; an abort is a reason.
 */
export async function probe(
  target: ProbeTarget,
  settings: ProbeSettings,
  abort: AbortController,
): Promise<string | null> {
  const timer = setTimeout(() => abort.abort(NO_ANSWER), settings.timeoutMs)
  const socket = connect(target)
  const onAbort = (): void => void socket.destroy(new Error(String(abort.signal.reason)))
  abort.signal.addEventListener('abort', onAbort, { once: true })
  try {
    return settings.path === null
      ? await connected(socket)
      : await answered(socket, target, settings, settings.path)
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    return (message || code || 'it failed').slice(0, REASON_LENGTH_MAX)
  } finally {
    clearTimeout(timer)
    abort.signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}

function connect({ host, port, tls: secure }: ConnectTarget): net.Socket {
  const place = { host, port, autoSelectFamily: false }
  if (secure === null) return net.connect(place)
  return tls.connect({ ...place, ...secure.connectOptions() })
}

function connected(socket: net.Socket): Promise<null> {
  return new Promise((resolve, reject) => {
    socket.once(socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect', () => resolve(null))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed')))
  })
}

function answered(
  socket: net.Socket,
  target: ProbeTarget,
  settings: ProbeSettings,
  path: string,
): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      method: settings.method,
      path,
      setHost: false,
      headers: {
        host: target.authority,
        'user-agent': 'gatehouse-health',
        accept: '*/*',
        ...settings.headers,
        connection: 'close',
      },
      createConnection: () => socket,
    })
    request.on('error', reject)
    request.on('response', (response) => {
      const status = response.statusCode ?? 0
      if (!settings.statuses.some(({ from, to }) => status >= from && status <= to)) {
        resolve(`it answered ${status}`)
      } else if (settings.field !== undefined && !carries(response, settings.field)) {
        // The value may be a secret, and this is logged.
        resolve(`its answer lacks the expected \`${settings.field.name}\``)
      } else if (settings.body === null) resolve(null)
      else holds(response, settings.body).then(resolve, reject)
    })
    request.end()
  })
}

function carries(
  { headersDistinct }: http.IncomingMessage,
  { name, value }: { readonly name: string; readonly value: string },
): boolean {
  const values = headersDistinct[name]
  return values?.length === 1 && values[0] === value
}

async function holds(response: http.IncomingMessage, wanted: string): Promise<string | null> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    pieces.push(piece)
    bytes += piece.length
    if (bytes >= BODY_BYTES_MAX) break
  }
  const text = Buffer.concat(pieces).toString('utf8', 0, BODY_BYTES_MAX)
  return text.includes(wanted) ? null : 'its answer lacks the expected text'
}
