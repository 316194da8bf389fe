// Two gateways that start at the same moment both find a port free, because a socket that is bound
// but does not listen yet hides from a probe. An abstract socket name is taken by one process only,
// in the same network namespace as the port, and vanishes with the process that holds it.
import net from 'node:net'

/** Held from the probe of a port until its listener listens. */
export interface PortLock {
  release(): void
}

const NO_LOCK: PortLock = { release: () => {} }

/** Takes the lock of a port; null when another gateway that is just starting holds it. */
export function lockPort(port: number): PortLock | null {
  const isSupported = process.platform === 'linux' && 'isPipe' in (net.BoundSocket?.prototype ?? {})
  if (!isSupported) return NO_LOCK
  try {
    const options = { path: `\0gatehouse-start:${port}` } as net.BoundSocketOptions
    const socket = new net.BoundSocket(options)
    return { release: () => socket[Symbol.dispose]() }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return null
    throw error
  }
}
