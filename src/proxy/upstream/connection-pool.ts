// The connections of one thread to one endpoint: reused last in, first out, bounded over all threads,
// with a bounded queue in front for those that must wait.
import type { ErrorCode } from '../../errors.ts'
import type { TimerWheel } from '../../lib/timer-wheel.ts'
import {
  ClientConnection,
  type ConnectionOwner,
  type UpstreamTimeouts,
} from '../http/client-connection.ts'
import type { ConnectTarget } from '../http/upstream-socket.ts'
import type { EndpointTable } from './endpoint-table.ts'
import { Blocked } from './health/shared-health.ts'

/** Who asks for a connection. The fields make it its own node in the pool's queue. */
export interface ConnectionWaiter {
  nextWaiter: ConnectionWaiter | null
  /** The pool whose queue it stands in, or null. */
  waitingIn: ConnectionPool | null
  onConnection(connection: ClientConnection): void
  onNoConnection(code: ErrorCode): void
}

/** Bounds of one endpoint's connections. */
export interface PoolSettings {
  /** Open connections over all threads. */
  readonly connectionsMax: number
  /** Waiters of this thread. */
  readonly queueMax: number
  readonly idleMs: number
  readonly timeouts: UpstreamTimeouts
  /** Whether an endpoint that cannot be connected to must show who it is before it is used again. */
  readonly mustProve?: boolean
}

/** What every pool of a thread shares. */
export interface PoolEnvironment {
  readonly wheel: TimerWheel
  readonly readBuffer: Buffer
  readonly table: EndpointTable
  onDefect(error: unknown): void
}

/** Counts of one pool, for metrics. */
export interface PoolCounts {
  open: number
  idle: number
  opened: number
  waiting: number
}

/** The pool of one endpoint. */
export class ConnectionPool implements ConnectionOwner {
  readonly wheel: TimerWheel
  readonly readBuffer: Buffer
  timeouts: UpstreamTimeouts
  readonly counts: PoolCounts = { open: 0, idle: 0, opened: 0, waiting: 0 }
  readonly #target: ConnectTarget
  readonly #table: EndpointTable
  readonly #slot: number
  readonly #onDefect: (error: unknown) => void
  #settings: PoolSettings
  readonly #idle: ClientConnection[] = []
  /** Connections that are on their way, oldest first, with those who wait for just these. */
  readonly #opening = new Map<ClientConnection, ConnectionWaiter | null>()
  readonly #open = new Set<ClientConnection>()
  #firstWaiter: ConnectionWaiter | null = null
  #lastWaiter: ConnectionWaiter | null = null
  #listening = false
  #closed = false

  constructor(
    target: ConnectTarget,
    slot: number,
    settings: PoolSettings,
    environment: PoolEnvironment,
  ) {
    this.#target = target
    this.#slot = slot
    this.#settings = settings
    this.timeouts = settings.timeouts
    this.wheel = environment.wheel
    this.readBuffer = environment.readBuffer
    this.#table = environment.table
    this.#onDefect = environment.onDefect
  }

  /** Takes new bounds; connections that are open stay. */
  configure(settings: PoolSettings): void {
    this.#settings = settings
    this.timeouts = settings.timeouts
  }

  /** An idle connection, or null when there is none. */
  takeIdle(): ClientConnection | null {
    for (
      let connection = this.#idle.pop();
      connection !== undefined;
      connection = this.#idle.pop()
    ) {
      this.counts.idle--
      if (connection.isIdle && !connection.socket.destroyed) return connection
    }
    return null
  }

  /**
   * Opens a connection for the waiter, or queues it. The waiter hears exactly once, later, unless
   * `cancel` comes first; when the queue is full it hears `queue_full` at once.
   */
  request(waiter: ConnectionWaiter): void {
    if (this.#tryOpen(waiter)) return
    if (this.counts.waiting >= this.#settings.queueMax) {
      waiter.onNoConnection('queue_full')
      return
    }
    waiter.waitingIn = this
    waiter.nextWaiter = null
    if (this.#lastWaiter === null) this.#firstWaiter = waiter
    else this.#lastWaiter.nextWaiter = waiter
    this.#lastWaiter = waiter
    this.counts.waiting++
    this.#table.addWaiter(this.#slot)
    this.#listen()
  }

  /** The waiter no longer wants a connection. */
  cancel(waiter: ConnectionWaiter): void {
    for (const [connection, owner] of this.#opening) {
      if (owner !== waiter) continue
      this.#opening.set(connection, null)
      if (this.#closed) connection.socket.destroy()
    }
    if (waiter.waitingIn !== this) return
    let previous: ConnectionWaiter | null = null
    for (let node = this.#firstWaiter; node !== null; node = node.nextWaiter) {
      if (node === waiter) {
        if (previous === null) this.#firstWaiter = node.nextWaiter
        else previous.nextWaiter = node.nextWaiter
        if (this.#lastWaiter === node) this.#lastWaiter = previous
        this.#forget(node)
        return
      }
      previous = node
    }
  }

  /** Closes what nobody waits for now, and everything else as it comes back. */
  close(): void {
    this.#closed = true
    for (const [connection, waiter] of this.#opening) {
      if (waiter === null) connection.socket.destroy()
    }
    for (const connection of this.#idle.splice(0)) connection.socket.destroy()
    this.counts.idle = 0
  }

  // ---- what connections report --------------------------------------------------------------------

  onConnected(connection: ClientConnection): void {
    const waiter = this.#opening.get(connection) ?? null
    this.#opening.delete(connection)
    if (waiter === null) this.onReusable(connection)
    else waiter.onConnection(connection)
  }

  onConnectFailed(connection: ClientConnection, code: ErrorCode): void {
    const waiter = this.#opening.get(connection) ?? null
    this.#opening.delete(connection)
    this.#giveBack(connection)
    // Whoever answers there next may be somebody else.
    const mustProve = this.#settings.mustProve === true
    if (mustProve) this.#table.health.setBlocked(this.#slot, Blocked.unproven, true)
    waiter?.onNoConnection(code)
    if (mustProve) this.#turnAway(code)
    else this.#serveNext()
  }

  onReusable(connection: ClientConnection): void {
    const waiter = this.#firstWaiter
    if (waiter !== null) {
      this.cancel(waiter)
      waiter.onConnection(connection)
    } else if (this.#closed || this.#table.waiters(this.#slot) > 0) {
      // Another thread waits for a place under the common bound: an idle connection would hold it.
      connection.socket.destroy()
    } else {
      this.counts.idle++
      this.#idle.push(connection)
      connection.keep(this.#settings.idleMs)
    }
  }

  onClosed(connection: ClientConnection): void {
    const index = this.#idle.lastIndexOf(connection)
    if (index !== -1) {
      this.#idle.splice(index, 1)
      this.counts.idle--
    }
    this.#giveBack(connection)
    this.#serveNext()
  }

  onDefect(error: unknown): void {
    this.#onDefect(error)
  }

  #tryOpen(waiter: ConnectionWaiter): boolean {
    if (!this.#table.tryReserveConnection(this.#slot, this.#settings.connectionsMax)) return false
    this.counts.open++
    this.counts.opened++
    const connection = new ClientConnection(this.#target, this)
    this.#open.add(connection)
    this.#opening.set(connection, waiter)
    return true
  }

  #giveBack(connection: ClientConnection): void {
    if (!this.#open.delete(connection)) return
    this.counts.open--
    this.#table.releaseConnection(this.#slot)
  }

  /** A place may be free: opens a connection for the first in the queue. */
  #serveNext(): void {
    while (this.#firstWaiter !== null) {
      const waiter = this.#firstWaiter
      if (!this.#tryOpen(waiter)) return
      this.#dequeue(waiter)
    }
  }

  /** All that wait go elsewhere. */
  #turnAway(code: ErrorCode): void {
    for (let waiter = this.#firstWaiter; waiter !== null; waiter = this.#firstWaiter) {
      this.#dequeue(waiter)
      waiter.onNoConnection(code)
    }
  }

  #dequeue(waiter: ConnectionWaiter): void {
    this.#firstWaiter = waiter.nextWaiter
    if (this.#firstWaiter === null) this.#lastWaiter = null
    this.#forget(waiter)
  }

  #forget(waiter: ConnectionWaiter): void {
    waiter.nextWaiter = null
    waiter.waitingIn = null
    this.counts.waiting--
    this.#table.removeWaiter(this.#slot)
  }

  /** Hears of places that other threads free while somebody waits here. */
  #listen(): void {
    if (this.#listening) return
    this.#listening = true
    const again = (): void => {
      this.#serveNext()
      if (this.#firstWaiter === null) this.#listening = false
      else this.#table.onConnectionReleased(this.#slot, again)
    }
    this.#table.onConnectionReleased(this.#slot, again)
  }
}
