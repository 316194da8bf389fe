// The hosts file: addresses of names that no name server is asked about (hosts(5)).
import { isIP } from 'node:net'

/** The addresses of each lower-case name, in the order of the file. */
export type Hosts = ReadonlyMap<string, readonly string[]>

/** Reads the text of a hosts file; lines that make no sense are passed over. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [ip, ...names] = words(line)
    if (ip === undefined || isIP(ip) === 0) continue
    for (const name of names) {
      const known = hosts.get(name.toLowerCase())
      if (known === undefined) hosts.set(name.toLowerCase(), [ip])
      else if (!known.includes(ip)) known.push(ip)
    }
  }
  return hosts
}

function words(line: string): string[] {
  return line
    .replace(/#.*/, '')
    .split(/\s+/)
    .filter((word) => word !== '')
}
