// A bound address in one thread: accepts connections and begins exchanges on the live snapshot.
import net from 'node:net'
import tls from 'node:tls'
import type { ListenerDocument } from '../config/schema.ts'
import type { ErrorCode } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import { IpPrefixTree } from '../lib/ip-prefix-tree.ts'
import type { TimerWheel } from '../lib/timer-wheel.ts'
import { clientAddress } from '../proxy/http/forwarded-headers.ts'
import type { HttpLimits } from '../proxy/http/limits.ts'
import type { RequestHead } from '../proxy/http/message-head.ts'
import { type ConnectionHost, ServerConnection } from '../proxy/http/server-connection.ts'
import { CertificateStore, type ListenerTls, serverOptions } from '../proxy/http/tls.ts'
import { problem } from '../proxy/pipeline/reply.ts'
import { replyHead } from '../proxy/pipeline/response-head.ts'
import { ExchangeRun, type RunContext } from '../proxy/pipeline/run.ts'
import type { ListenSource } from './plane.ts'

/** What a listener needs of its thread. */
export interface ListenerHost {
  readonly clock: Clock
  readonly wheel: TimerWheel
  /** 48 bytes shared by all threads. */
  readonly ticketKeys: Buffer
  /** The live snapshot. */
  readonly live: RunContext
  /** Takes a place among the gateway's connections; false when none is left. */
  admit(): boolean
  release(): void
  /** Bytes that were no request were answered with this. */
  countRefused(code: ErrorCode, clientIp: string): void
}

const BACKLOG = 4096
const NO_VIA = ['', ''] as const

/** One listener. */
export class Listener implements ConnectionHost {
  limits: HttpLimits
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly connections = new Set<ServerConnection>()
  readonly #host: ListenerHost
  readonly #scheme: 'http' | 'https'
  #trusted = new IpPrefixTree<true>()
  #trustsAnyone = false
  #server: net.Server | null = null
  #certificates: CertificateStore | null = null

  constructor(document: ListenerDocument, host: ListenerHost) {
    this.#host = host
    this.#scheme = document.scheme
    this.wheel = host.wheel
    this.clock = host.clock
    this.limits = document.limits
    this.configure(document)
  }

  /** Takes new limits and trusted proxies; connections that are open follow at once. */
  configure(document: ListenerDocument): void {
    this.limits = document.limits
    this.#trusted = new IpPrefixTree<true>()
    for (const network of document.trustedProxies) this.#trusted.insert(network, true)
    this.#trustsAnyone = document.trustedProxies.length > 0
  }

  /** Binds and accepts. @throws Error when the address cannot be bound or a certificate not be used. */
  async listen(source: ListenSource, settings: ListenerTls | null): Promise<number> {
    const options = { noDelay: true, allowHalfOpen: true }
    let server: net.Server
    if (settings === null) {
      server = net.createServer(options, (socket) => this.#accept(socket, null))
    } else {
      this.#certificates = await CertificateStore.load(settings)
      const secure = serverOptions(this.#certificates, settings, this.#host.ticketKeys)
      server = tls.createServer({ ...secure, ...options }, (socket) =>
        this.#accept(socket, socket.getProtocol()),
      )
      server.on('tlsClientError', (_error, socket: net.Socket) => socket.destroy())
    }
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ ...source, backlog: BACKLOG }, () => {
        server.off('error', reject)
        server.on('error', () => {})
        resolve()
      })
    })
    return (server.address() as net.AddressInfo).port
  }

  /** Looks whether the certificate files changed. @throws Error as CertificateStore.reload does. */
  async reloadCertificates(): Promise<boolean> {
    return this.#certificates === null ? false : await this.#certificates.reload()
  }

  /** Stops accepting; no connection takes another request after its current one. */
  drain(): void {
    this.#server?.close()
    this.#server = null
    for (const connection of this.connections) connection.drain()
  }

  /** Cuts everything off. */
  close(): void {
    this.drain()
    for (const connection of this.connections) connection.socket.destroy()
  }

  begin(connection: ServerConnection, head: RequestHead): ExchangeRun {
    const trusted = this.#trustsAnyone && this.#trusted.lookup(connection.clientIp) !== null
    const client = {
      ip: trusted ? clientAddress(head, connection.clientIp, this.#trusted) : connection.clientIp,
      port: connection.clientPort,
      scheme: this.#scheme,
      tlsVersion: connection.tlsVersion,
    }
    return new ExchangeRun(connection, head, client, trusted, this.#host.live)
  }

  refuse(connection: ServerConnection, code: ErrorCode): string {
    this.#host.countRefused(code, connection.clientIp)
    return refusal(code, this.clock)
  }

  onClosed(connection: ServerConnection): void {
    if (this.connections.delete(connection)) this.#host.release()
  }

  #accept(socket: net.Socket, tlsVersion: string | null): void {
    if (!this.#host.admit()) {
      socket.on('error', () => {})
      socket.end(refusal('overloaded', this.clock), 'latin1', () => socket.destroy())
      return
    }
    this.connections.add(new ServerConnection(socket, this, tlsVersion))
  }
}

/** A complete answer, closing the connection, to bytes that are no request. */
function refusal(code: ErrorCode, clock: Clock): string {
  const reply = problem(code)
  const answered = {
    request: { minorVersion: 1 },
    responseEdits: null,
    context: { clock, viaLines: NO_VIA },
  }
  return replyHead(answered, reply, reply.body.length, true) + reply.body.toString('latin1')
}
