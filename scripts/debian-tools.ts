// Programs that tests and benchmarks need beside Node, and the Debian packages they come in.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The Debian package of each program that a test may ask for. */
export const testTools: Readonly<Record<string, string>> = {
  chromium: 'chromium',
  curl: 'curl',
  openssl: 'openssl',
  'redis-server': 'redis-server',
  slowhttptest: 'slowhttptest',
}

/** The Debian package of each program that the benchmarks use, if it is there. */
export const benchTools: Readonly<Record<string, string>> = {
  caddy: 'caddy',
  h2load: 'nghttp2-client',
  haproxy: 'haproxy',
  nginx: 'nginx',
  wrk: 'wrk',
}

/** Where a program is, or null. Debian keeps servers in /usr/sbin, which is not on everyone's path. */
export function findTool(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const folder of folders) {
    const path = join(folder, name)
    if (folder !== '' && existsSync(path)) return path
  }
  return null
}
