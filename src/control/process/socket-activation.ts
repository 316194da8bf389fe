// Sockets that systemd bound before it started Gatehouse (sd_listen_fds(3)). They are held, never
// read: only the data plane's threads accept on copies of them.
import net from 'node:net'
import { ListenError } from './listen-error.ts'

const FIRST_FD = 3
const SOCKETS_MAX = 256

/** A descriptor that someone keeps open. */
export interface HeldDescriptor {
  fd(): number
  close(): void
}

/** A socket that was handed to this process. */
export interface ActivatedSocket extends HeldDescriptor {
  readonly host: string
  readonly port: number
}

/**
 * Takes the sockets that LISTEN_FDS announces and removes the announcement from `environment`.
 * @throws ListenError when a descriptor is no TCP socket.
 */
export function takeActivatedSockets(
  environment: NodeJS.ProcessEnv = process.env,
): ActivatedSocket[] {
  const { LISTEN_PID, LISTEN_FDS } = environment
  delete environment.LISTEN_PID
  delete environment.LISTEN_FDS
  delete environment.LISTEN_FDNAMES
  if (LISTEN_FDS === undefined || Number(LISTEN_PID) !== process.pid) return []
  const count = Number(LISTEN_FDS)
  if (!Number.isInteger(count) || count < 0 || count > SOCKETS_MAX) {
    throw new ListenError(
      `LISTEN_FDS is "${LISTEN_FDS}"; expected a number from 0 to ${SOCKETS_MAX}`,
    )
  }
  return Array.from({ length: count }, (_, index) => holdDescriptor(FIRST_FD + index))
}

/** Keeps an inherited descriptor open and learns its address. */
function holdDescriptor(fd: number): ActivatedSocket {
  let socket: net.Socket | null = null
  try {
    socket = new net.Socket({ fd, readable: false, writable: false })
  } catch {}
  const address = socket?.address()
  if (socket === null || address === undefined || !('port' in address)) {
    throw new ListenError(`descriptor ${fd}, handed over through LISTEN_FDS, is not a TCP socket`)
  }
  const held = socket
  return { host: address.address, port: address.port, fd: () => fd, close: () => held.destroy() }
}

/** Whether a socket bound to `bound` serves a listener configured for `wanted`. */
export function servesAddress(
  bound: { host: string; port: number },
  wanted: { host: string; port: number },
): boolean {
  return bound.port === wanted.port && anyAddress(bound.host) === anyAddress(wanted.host)
}

function anyAddress(host: string): string {
  return host === '::' || host === '0.0.0.0' ? '*' : host
}
