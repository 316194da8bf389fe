// What tells the listeners of one configuration from those of the next: their address, never their place.
import type { Document } from '../config/schema.ts'
import { hostPort } from '../lib/host-port.ts'

/** The keys of a document's listeners, in their order. Several with port 0 are told apart by their turn. */
export function listenerKeys(document: Document): string[] {
  const turns = new Map<string, number>()
  return document.listeners.map(({ host, port }) => {
    const key = `listen ${hostPort(host, port)}`
    if (port !== 0) return key
    const turn = turns.get(key) ?? 0
    turns.set(key, turn + 1)
    return `${key}#${turn}`
  })
}
