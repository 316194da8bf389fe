// Who is at the other end of an accepted connection.
import type { Socket } from 'node:net'
import { WheelTimer } from '../../lib/timer-wheel.ts'
import { plainAddress } from './client-address.ts'
import type { ClientAddress } from './proxy-protocol.ts'

/** A connection's socket and client. */
export abstract class ClientPeer extends WheelTimer {
  readonly socket: Socket
  readonly clientIp: string
  readonly clientPort: number
  /** 'TLSv1.3' and the like, or null on plain TCP. */
  readonly tlsVersion: string | null

  /** @param client who is at the other end, when that is not whom the socket is connected with. */
  constructor(socket: Socket, tlsVersion: string | null, client: ClientAddress | null) {
    super()
    this.socket = socket
    this.tlsVersion = tlsVersion
    this.clientIp = client?.ip ?? plainAddress(socket.remoteAddress ?? '')
    this.clientPort = client?.port ?? socket.remotePort ?? 0
  }
}
