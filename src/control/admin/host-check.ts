// Keeps web pages out: a page whose name was made to point at this machine (DNS rebinding) is sent
// with that name in Host, and the browser would let it read the answers.
import { isIP } from 'node:net'

const HOST = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::[0-9]{1,5})?$/

/** Whether a Host header can only come from someone who wrote an address, or a name of this machine. */
export function isOwnHost(header: string | undefined, configuredHost: string): boolean {
  const match = HOST.exec(header ?? '')
  if (match === null) return false
  const host = match[1]!.toLowerCase()
  const name = host.startsWith('[') ? host.slice(1, -1) : host
  return (
    isIP(name) !== 0 ||
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === configuredHost
  )
}
