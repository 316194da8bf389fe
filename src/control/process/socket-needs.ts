// Which sockets a configuration needs, told apart by keys that survive a reload.
import type { Document } from '../../config/schema.ts'
import { listenerKeys } from '../../gateway/listener-keys.ts'
import { hostPort } from '../../lib/host-port.ts'

/** An address that must be bound before a configuration can run. */
export interface SocketNeed {
  /** The same address has the same key in every configuration. */
  readonly key: string
  /** Where the configuration says it: `listen` or `admin`. */
  readonly setting: 'listen' | 'admin'
  readonly host: string
  /** 0 leaves the choice to the system. */
  readonly port: number
}

/** The key of the admin listener. */
export function adminKey(admin: { readonly host: string; readonly port: number }): string {
  return `admin ${hostPort(admin.host, admin.port)}`
}

/** Everything a document wants to listen on. */
export function socketNeeds(document: Document): SocketNeed[] {
  const keys = listenerKeys(document)
  const needs: SocketNeed[] = document.listeners.map(({ host, port }, index) => ({
    key: keys[index]!,
    setting: 'listen',
    host,
    port,
  }))
  const { admin } = document
  if (admin !== null) needs.push({ key: adminKey(admin), setting: 'admin', ...admin })
  return needs
}

/** Whether both lists ask for the same addresses. */
export function sameNeeds(one: readonly SocketNeed[], other: readonly SocketNeed[]): boolean {
  const keys = new Set(one.map((need) => need.key))
  return (
    keys.size === new Set(other.map((need) => need.key)).size &&
    other.every((need) => keys.has(need.key))
  )
}
