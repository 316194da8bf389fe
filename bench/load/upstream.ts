// The service behind every subject: an nginx that answers a small JSON document from memory, takes
// any POST, and has one big file.
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, start } from './processes.ts'
import { nginxCommand } from './subjects/nginx.ts'

/** Size of the file at /big. */
export const bigFileBytes = 1024 ** 3

/** The upstream, once it listens. */
export interface Upstream {
  readonly process: ChildProcess
  readonly port: number
}

/** Starts it in a folder of its own. */
export async function startUpstream(parent: string): Promise<Upstream> {
  const folder = join(parent, 'upstream')
  mkdirSync(folder)
  const port = await freePort()
  const file = join(folder, 'big')
  writeFileSync(file, '')
  truncateSync(file, bigFileBytes)
  const body = JSON.stringify({ id: 1, name: 'Moka pot', price: 34.5, stock: 12, tags: ['coffee'] })
  const command = nginxCommand({ folder, threads: 1 }, [
    'access_log off;',
    'sendfile on;',
    'server {',
    `  listen 127.0.0.1:${port};`,
    `  location / { default_type application/json; return 200 '${body}'; }`,
    `  location = /big { default_type application/octet-stream; alias ${file}; }`,
    '}',
  ])
  return { process: await start(command, folder, port), port }
}
