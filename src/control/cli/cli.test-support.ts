// The command line in tests: a folder of its own for every test, and what a command wrote.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach } from 'node:test'
import { main } from './cli.ts'
import { makePaint, type Terminal } from './terminal.ts'

export const ROOT = join(import.meta.dirname, '../../..')
export const MAIN = join(ROOT, 'src/main.ts')

/** A command's exit code and its two outputs. */
export interface Outcome {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

/** The folder in which commands run; a fresh one for every test. */
export class CommandFolder {
  directory = ''
  readonly #root = mkdtempSync(join(tmpdir(), 'gatehouse-cli-'))
  #count = 0

  constructor() {
    beforeEach(() => {
      this.directory = join(this.#root, String(++this.#count))
      mkdirSync(this.directory)
    })
    after(() => rmSync(this.#root, { recursive: true }))
  }

  /** Writes a file into the folder. */
  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), text)
  }

  /** Runs a command as the program does, without a process of its own. */
  async run(...args: string[]): Promise<Outcome> {
    let out = ''
    let err = ''
    const terminal: Terminal = {
      cwd: this.directory,
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
      paint: makePaint(false),
      errPaint: makePaint(false),
    }
    return { status: await main(args, terminal), out, err }
  }

  /** Runs a command in a process of its own. */
  spawn(args: readonly string[], nodeOptions: readonly string[] = []): Outcome {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [...nodeOptions, MAIN, ...args],
      {
        cwd: this.directory,
        encoding: 'utf8',
      },
    )
    return { status, out: stdout, err: stderr }
  }
}

/** A configuration with a route of every kind. */
export const SHOP = `listen: http://127.0.0.1:0
admin: false
services:
  users: http://127.0.0.1:4001
  orders: { endpoints: [http://127.0.0.1:4002, { url: http://127.0.0.1:4003, weight: 3 }], balance: round-robin }
use: [request-id]
routes:
  - { path: /users/*, to: users }
  - path: '/users/{id}'
    methods: [GET]
    headers: { x-version: '2' }
    use: [{ body-limit: {}, when: "request.method == 'PUT'", mode: shadow, id: small }]
    rewrite: { path: '/v2/{id}' }
    to: [{ service: users, weight: 3 }, { service: orders }]
  - { host: old.example, redirect: { to: /new } }
  - { path: /ping, respond: { body: pong } }
`
