// A bound address in one thread: accepts connections and begins exchanges on the live snapshot.
import net from 'node:net'
import type tls from 'node:tls'
import type { ListenerDocument } from '../config/schema.ts'
import type { ErrorCode } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import { IpPrefixTree } from '../lib/ip-prefix-tree.ts'
import type { TimerWheel } from '../lib/timer-wheel.ts'
import { plainAddress, TrustedProxies } from '../proxy/http/client-address.ts'
import type { ConnectionHost, LastRequests } from '../proxy/http/connection-host.ts'
import type { HttpLimits } from '../proxy/http/limits.ts'
import type { RequestHead } from '../proxy/http/message-head.ts'
import { ProxyHeaderReader } from '../proxy/http/proxy-header-reader.ts'
import type { ClientAddress } from '../proxy/http/proxy-protocol.ts'
import { ServerConnection } from '../proxy/http/server-connection.ts'
import {
  type Certificates,
  createTlsServer,
  loadCertificates,
  startTls,
  transportOf,
} from '../proxy/http/tls.ts'
import { problem } from '../proxy/pipeline/reply.ts'
import { replyHead } from '../proxy/pipeline/response-head.ts'
import { ExchangeRun, type RunContext } from '../proxy/pipeline/run.ts'
import type { ListenSource } from './plane.ts'

/** What a listener needs of its thread. */
export interface ListenerHost {
  readonly clock: Clock
  readonly wheel: TimerWheel
  /** Lent to every connection of the thread for the time of one read. */
  readonly readBuffer: Buffer
  /** The live snapshot. */
  readonly live: RunContext
  /** Takes a place among the gateway's connections; false when none is left. */
  admit(): boolean
  release(): void
  /** Takes one of the places of this address: its key, '' when it is not counted, null when none is left. */
  admitFrom(ip: string): string | null
  releaseFrom(key: string): void
  /** Those of TLS session tickets now, the same in all threads. */
  ticketKeys(): Buffer
  /** A defect of the gateway cost a connection. */
  onDefect(error: unknown): void
  /** Bytes that were no request were answered with this. */
  countRefused(code: ErrorCode, clientIp: string): void
  /** A connection was turned away before its first byte; that may happen too often for the log. */
  countTurnedAway(code: ErrorCode): void
}

const BACKLOG = 4096
const NO_VIA = ['', ''] as const

/** One listener. */
export class Listener implements ConnectionHost<ServerConnection> {
  limits: HttpLimits
  lastRequests: LastRequests | null = null
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly readBuffer: Buffer
  readonly #connections = new Set<ServerConnection>()
  /** Everything accepted and not closed, TLS handshakes included. */
  readonly #sockets = new Set<net.Socket>()
  /** Those of which the PROXY header or the TLS handshake is not complete. */
  readonly #arriving = new Set<net.Socket>()
  readonly #host: ListenerHost
  #scheme: 'http' | 'https'
  /** Null: nobody is trusted. */
  #proxies: TrustedProxies | null = null
  /** Who begins with a PROXY header; null: nobody. */
  #balancers: IpPrefixTree<true> | null = null
  /** What PROXY headers said of sockets whose TLS handshake goes on. */
  readonly #clients = new WeakMap<net.Socket, ClientAddress>()
  #server: net.Server | null = null
  #tlsServer: tls.Server | null = null
  #certificates: Certificates | null = null

  /** @param certificates those of `document.tls`, or null on plain TCP. */
  constructor(document: ListenerDocument, certificates: Certificates | null, host: ListenerHost) {
    this.#host = host
    this.wheel = host.wheel
    this.clock = host.clock
    this.readBuffer = host.readBuffer
    this.#scheme = document.scheme
    this.limits = document.limits
    this.configure(document, certificates)
  }

  /** How many sockets it holds. */
  get socketCount(): number {
    return this.#sockets.size
  }

  get certificates(): Certificates | null {
    return this.#certificates
  }

  /** Takes new settings; open connections follow limits and trusted proxies at once. */
  configure(document: ListenerDocument, certificates: Certificates | null): void {
    this.#scheme = document.scheme
    this.limits = document.limits
    const { trustedProxies, proxyProtocol } = document
    const trustsNobody = typeof trustedProxies === 'object' && trustedProxies.length === 0
    this.#proxies = trustsNobody ? null : new TrustedProxies(document)
    this.#balancers = proxyProtocol === null ? null : new IpPrefixTree<true>()
    for (const network of proxyProtocol ?? []) this.#balancers?.insert(network, true)
    this.#certificates = certificates
    this.#renewTls()
  }

  /** Binds and accepts. @throws Error when the address cannot be bound. */
  async listen(source: ListenSource): Promise<number> {
    const options = { noDelay: true, allowHalfOpen: true }
    const server = net.createServer(options, (socket) => this.#accept(socket))
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

  /**
   * Reads the certificate files again, and takes over the ticket keys of all threads; new handshakes
   * use them, open connections go on.
   * @returns whether anything changed.
   * @throws Error naming the file that cannot be used; the certificates in use stay.
   */
  async reloadCertificates(): Promise<boolean> {
    const before = this.#certificates
    if (before === null) return false
    this.#tlsServer?.setTicketKeys(this.#host.ticketKeys())
    const loaded = await loadCertificates(before.settings, before)
    // A configuration that went live meanwhile brought newer ones.
    if (loaded === before || this.#certificates !== before) return false
    this.#certificates = loaded
    this.#renewTls()
    return true
  }

  /** Handshakes that begin from now on use the current certificates. */
  #renewTls(): void {
    this.#tlsServer = null
    if (this.#certificates === null) return
    this.#tlsServer = createTlsServer(
      this.#certificates,
      this.#host.ticketKeys(),
      this.limits.headTimeoutMs,
      (socket) => {
        const client = this.#clients.get(transportOf(socket)) ?? null
        this.#serve(socket, socket.getProtocol(), client)
      },
    )
  }

  /** Goes on accepting, but every connection, new ones too, takes one more request at most. */
  takeLastRequests(last: LastRequests): void {
    this.lastRequests = last
    for (const connection of this.#connections) connection.drain()
  }

  stopAccepting(): void {
    this.#server?.close()
    this.#server = null
  }

  /** Cuts off connections that still are on their way to a first request. */
  cutArriving(): void {
    for (const socket of this.#arriving) socket.destroy()
  }

  /** Answers what has no answer yet with 503 and cuts off the rest. @returns how many exchanges ran. */
  cut(): number {
    this.cutArriving()
    let exchanges = 0
    for (const connection of this.#connections) if (connection.cut()) exchanges++
    return exchanges
  }

  /** Cuts everything off. */
  close(): void {
    this.stopAccepting()
    for (const connection of this.#connections) connection.socket.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  begin(connection: ServerConnection, head: RequestHead): ExchangeRun {
    const { clientIp } = connection
    const proxies = this.#proxies
    const trusted = proxies?.trusts(clientIp) === true
    if (trusted) proxies!.removeUnread(head)
    const client = {
      ip: trusted ? proxies!.clientOf(head, clientIp) : clientIp,
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

  onDefect(error: unknown): void {
    this.#host.onDefect(error)
  }

  onClosed(connection: ServerConnection): void {
    this.#connections.delete(connection)
  }

  /** The place of a connection is taken before its handshake: those that never end it count as well. */
  #accept(socket: net.Socket): void {
    if (!this.#host.admit()) {
      this.#turnAway(socket, 'overloaded')
      return
    }
    this.#sockets.add(socket)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#host.release()
    })
    if (this.#balancers === null) this.#welcome(socket, null)
    else this.#readProxyHeader(socket, this.#balancers)
  }

  /** Who may not say in front who the client is, or does not, is no client either. */
  #readProxyHeader(socket: net.Socket, balancers: IpPrefixTree<true>): void {
    this.#awaitArrival(socket)
    socket.on('error', () => {})
    const peer = plainAddress(socket.remoteAddress ?? '')
    const finish = (client: ClientAddress | null | false): void => {
      if (client === false) {
        this.#host.countRefused('bad_proxy_header', peer)
        socket.resetAndDestroy()
      } else this.#welcome(socket, client)
    }
    if (balancers.lookup(peer) === null) finish(false)
    else new ProxyHeaderReader(socket, this.wheel, this.limits.headTimeoutMs, finish)
  }

  /** @param client named by a PROXY header; null: the socket's own peer. */
  #welcome(socket: net.Socket, client: ClientAddress | null): void {
    const ip = client?.ip ?? plainAddress(socket.remoteAddress ?? '')
    if (this.#proxies?.trusts(ip) !== true) {
      const place = this.#host.admitFrom(ip)
      if (place === null) {
        this.#turnAway(socket, 'too_many_connections')
        return
      }
      if (place !== '') socket.on('close', () => this.#host.releaseFrom(place))
    }
    if (this.#tlsServer === null) {
      this.#serve(socket, null, client)
      socket.resume()
    } else {
      // What it has read already, TLS takes from it, as long as it does not flow.
      if (client !== null) this.#clients.set(socket, client)
      this.#awaitArrival(socket)
      startTls(this.#tlsServer, socket)
    }
  }

  #awaitArrival(socket: net.Socket): void {
    if (this.#arriving.has(socket)) return
    this.#arriving.add(socket)
    socket.on('close', () => this.#arriving.delete(socket))
  }

  #serve(socket: net.Socket, tlsVersion: string | null, client: ClientAddress | null): void {
    this.#arriving.delete(transportOf(socket))
    const connection = new ServerConnection(socket, this, tlsVersion, client)
    this.#connections.add(connection)
    if (this.lastRequests !== null) connection.drain()
  }

  /** An answer would cost a client over TLS, and the gateway, a handshake first. */
  #turnAway(socket: net.Socket, code: ErrorCode): void {
    this.#host.countTurnedAway(code)
    socket.on('error', () => {})
    if (this.#tlsServer !== null) socket.resetAndDestroy()
    else socket.end(refusal(code, this.clock), 'latin1', () => socket.destroy())
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
