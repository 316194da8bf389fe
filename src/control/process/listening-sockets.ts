// The sockets the parent holds: one per listener and thread, so that the kernel spreads connections
// over the threads and no accept queue is lost when a thread or the whole gateway process is replaced.
import { lookup } from 'node:dns/promises'
import net from 'node:net'
import { hostPort } from '../../lib/host-port.ts'
import { describeListenError, ListenError } from './listen-error.ts'
import { lockPort, type PortLock } from './port-lock.ts'
import { type ActivatedSocket, type HeldDescriptor, servesAddress } from './socket-activation.ts'
import type { SocketNeed } from './socket-needs.ts'

/** The sockets of one address: one per thread for a listener, a single one for the admin API. */
export interface HeldSocket {
  readonly key: string
  readonly port: number
  readonly descriptors: readonly HeldDescriptor[]
}

/** Whether this platform lets a parent hold sockets for the threads of a child. */
export function canHoldSockets(): boolean {
  return process.platform === 'linux' && net.BoundSocket !== undefined
}

/** Binds, holds and releases sockets. Never listens and never accepts. */
export class ListeningSockets {
  readonly #threads: number
  readonly #activated: ActivatedSocket[]
  readonly #held = new Map<string, HeldSocket>()
  readonly #locks = new Map<number, PortLock>()

  constructor(threads: number, activated: ActivatedSocket[] = []) {
    this.#threads = threads
    this.#activated = activated
  }

  /**
   * Makes sure that every needed address is bound; all of them or, when one fails, none of the new ones.
   * Does nothing where the platform cannot hand sockets over.
   * @throws ListenError
   */
  async hold(needs: readonly SocketNeed[]): Promise<void> {
    if (!canHoldSockets()) return
    const added: string[] = []
    try {
      for (const need of needs) {
        if (this.#held.has(need.key)) continue
        this.#held.set(need.key, await this.#bind(need))
        added.push(need.key)
      }
    } catch (error) {
      for (const key of added) this.#release(key)
      this.announceListening()
      throw error
    }
  }

  /** The sockets of these addresses, in their order; those that are not held are left out. */
  select(needs: readonly SocketNeed[]): HeldSocket[] {
    return needs.flatMap((need) => this.#held.get(need.key) ?? [])
  }

  /** The new sockets listen by now, so that any probe finds them: other gateways may try these ports again. */
  announceListening(): void {
    for (const lock of this.#locks.values()) lock.release()
    this.#locks.clear()
  }

  /** Closes what `needs` does not name. */
  retain(needs: readonly SocketNeed[]): void {
    const keys = new Set(needs.map((need) => need.key))
    for (const key of [...this.#held.keys()]) if (!keys.has(key)) this.#release(key)
  }

  /** Closes the sockets that were handed over and that no address asked for; returns these addresses. */
  closeUnasked(): string[] {
    return this.#activated.splice(0).map((socket) => {
      socket.close()
      return hostPort(socket.host, socket.port)
    })
  }

  close(): void {
    this.retain([])
    this.announceListening()
    this.closeUnasked()
  }

  #release(key: string): void {
    const held = this.#held.get(key)
    this.#held.delete(key)
    for (const descriptor of new Set(held?.descriptors)) descriptor.close()
  }

  async #bind(need: SocketNeed): Promise<HeldSocket> {
    const { key, setting, port } = need
    const count = setting === 'admin' ? 1 : this.#threads
    try {
      const host = net.isIP(need.host) === 0 ? (await lookup(need.host)).address : need.host
      const activated = this.#takeActivated(host, port)
      if (activated !== null) {
        return { key, port, descriptors: Array.from({ length: count }, () => activated) }
      }
      if (port !== 0) this.#probe(host, port)
      return { key, ...bindAll(host, port, count) }
    } catch (error) {
      throw error instanceof ListenError
        ? error
        : describeListenError(error, setting, need.host, port)
    }
  }

  /** Fails when anyone listens there, which binding with `reusePort` would not. */
  #probe(host: string, port: number): void {
    const lock = this.#locks.get(port) ?? lockPort(port)
    if (lock === null) {
      throw new ListenError(
        `${hostPort(host, port)}: another gateway is starting on port ${port} at this moment`,
      )
    }
    this.#locks.set(port, lock)
    new net.BoundSocket({ host, port }).close()
  }

  #takeActivated(host: string, port: number): ActivatedSocket | null {
    const index = this.#activated.findIndex((socket) => servesAddress(socket, { host, port }))
    return index < 0 ? null : this.#activated.splice(index, 1)[0]!
  }
}

function bindAll(
  host: string,
  port: number,
  count: number,
): { port: number; descriptors: HeldDescriptor[] } {
  const sockets: net.BoundSocket[] = []
  try {
    for (let bound = port; sockets.length < count; ) {
      const socket = new net.BoundSocket({ host, port: bound, reusePort: true })
      sockets.push(socket)
      bound = socket.address().port
    }
  } catch (error) {
    for (const socket of sockets) socket.close()
    throw error
  }
  return { port: sockets[0]!.address().port, descriptors: sockets }
}
