// What went wrong with an address, and what a person can do about it.
import { hostPort } from '../../lib/host-port.ts'

/** An address that cannot be listened on; the message names it and the remedy. */
export class ListenError extends Error {
  override name = 'ListenError'
}

/** Turns a failed bind or listen into a message with a remedy. `setting` is where the address is configured. */
export function describeListenError(
  error: unknown,
  setting: string,
  host: string,
  port: number,
): ListenError {
  const { code, message } = error as NodeJS.ErrnoException
  return new ListenError(
    `${setting} ${hostPort(host, port)}: ${reason(code, message, host, port)}`,
    { cause: error },
  )
}

function reason(code: string | undefined, message: string, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return (
        `port ${port} is already in use. Stop the program that has it ` +
        `(\`ss -ltnp 'sport = :${port}'\` names it), or choose another port.`
      )
    case 'EACCES':
      return `this user may not use port ${port}. Choose one above 1023, or grant CAP_NET_BIND_SERVICE.`
    case 'EADDRNOTAVAIL':
      return `this machine has no address ${host}. Choose one of its own, or 0.0.0.0 for all.`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host} has no address. Write the address as a number.`
    default:
      return message
  }
}
