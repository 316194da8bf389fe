// Sockets to endpoints, plain or TLS: opening one, what its errors mean, and whether it ended as agreed.
import net from 'node:net'
import tls from 'node:tls'
import type { ErrorCode } from '../../errors.ts'

/** Where a connection goes. */
export interface ConnectTarget {
  readonly host: string
  readonly port: number
  /** Null for plain TCP. */
  readonly tls: TlsTarget | null
}

/** The TLS side of one endpoint, which remembers from one connection to the next. */
export interface TlsTarget {
  /** What `tls.connect` takes beside the address, for a connection that is made now. */
  connectOptions(): tls.ConnectionOptions
  /** The endpoint has shown who it is, or resumed a session in which it had. */
  onSecure(isResumed: boolean): void
  /** The latest session of a connection made with `context`; the next one may resume it. */
  onSession(session: Buffer, context: tls.SecureContext | undefined): void
  /** No connection came about. */
  onFailure(): void
}

/** What is read from a socket, with `onread`: the memory is only lent. Returns whether to read on. */
export type OnRead = (size: number, buffer: Uint8Array) => boolean

/** Begins to connect. `onConnected` is called once, TLS handshake included; errors are events as ever. */
export function openSocket(
  target: ConnectTarget,
  buffer: Buffer,
  onRead: OnRead,
  onConnected: () => void,
): net.Socket {
  const { host, port, tls: secure } = target
  const options = {
    host,
    port,
    noDelay: true,
    allowHalfOpen: true,
    autoSelectFamily: false,
    onread: { buffer, callback: onRead },
  }
  if (secure === null) return net.connect(options, onConnected)
  const secured = secure.connectOptions()
  const socket = tls.connect({ ...options, ...secured } as tls.ConnectionOptions)
  let isSecure = false
  socket.on('session', (session) => secure.onSession(session, secured.secureContext))
  socket.on('secureConnect', () => {
    isSecure = true
    secure.onSecure(socket.isSessionReused())
    onConnected()
  })
  socket.on('close', () => {
    if (!isSecure) secure.onFailure()
  })
  return socket
}

/** What an error says that came before the connection stood. */
export function connectFailure(error: NodeJS.ErrnoException, socket: net.Socket): ErrorCode {
  const isTls = socket instanceof tls.TLSSocket
  if (isTls && socket.authorizationError !== null) return 'tls_untrusted'
  const { code = '' } = error
  switch (code) {
    case 'ECONNREFUSED':
      return 'connect_refused'
    case 'ETIMEDOUT':
      return 'connect_timeout'
    case 'ECONNRESET':
    case 'EPIPE':
      // TCP says "refused" where nobody listens: this one was accepted, and then the handshake cut off.
      return isTls ? 'tls_failed' : 'connect_failed'
    default:
      return code === 'EPROTO' || code.startsWith('ERR_') ? 'tls_failed' : 'connect_failed'
  }
}

/** What an error on a connection that stood says. */
export function connectionFailure(error: NodeJS.ErrnoException): ErrorCode {
  // The endpoint's alert about a client certificate, for one, comes after the handshake (RFC 8446 4.4.2.4).
  return error.code?.startsWith('ERR_SSL_') === true ? 'tls_failed' : 'upstream_reset'
}

/**
 * Whether the other side ended with all it had to say, once the socket has emitted 'end'. Over TLS only
 * close_notify says so: anybody on the way can forge a FIN (RFC 8446 6.1). Node reports both alike, but
 * a TCP socket at its end can begin to be read, where one that is being read already refuses.
 */
export function hasEndedCleanly(socket: net.Socket): boolean {
  if (!(socket instanceof tls.TLSSocket)) return true
  const { _handle: handle } = socket as unknown as { _handle?: TlsHandle | null }
  return handle?._parent?.readStart?.() !== 0
}

/** What node keeps below a TLS socket; not public. */
interface TlsHandle {
  readonly _parent?: { readStart?(): number }
}
