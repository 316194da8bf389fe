// What tests of TLS need beside sockets: certificate files that can be replaced, a client that tells
// what was agreed in its handshake, and the data plane of one thread, to be looked into.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { loadObject } from '../../src/config/load-object.ts'
import { createDataPlane, type ThreadPlane } from '../../src/gateway/data-plane.ts'
import { EndpointDirectory } from '../../src/gateway/endpoint-directory.ts'
import { createSharedState, type SharedState } from '../../src/gateway/shared-state.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import type { PolicyLog } from '../../src/proxy/pipeline/policy.ts'
import { SystemResolver } from '../../src/proxy/upstream/discovery/resolver.ts'
import type { Certificate } from './certificates.ts'
import { eventually, PATIENCE_MS } from './changes.ts'
import type { Settings } from './gateway.ts'

/** A directory that is gone with its test, or with its file of tests. */
export class TestFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'))

  constructor(t: { after(hook: () => void): void }) {
    t.after(() => rmSync(this.path, { recursive: true, force: true }))
  }

  /** Writes a file; returns its name. */
  write(name: string, text: string): string {
    const file = join(this.path, name)
    writeFileSync(file, text)
    return file
  }

  /** Writes a certificate and its key; returns both names as a configuration takes them. */
  certificate(name: string, { cert, key }: Certificate): { cert: string; key: string } {
    return { cert: this.write(`${name}.crt`, cert), key: this.write(`${name}.key`, key) }
  }
}

/** What a client saw of one connection. */
export interface Visit {
  /** Of the certificate it was shown. */
  readonly commonName: string
  readonly protocol: string | null
  readonly alpn: string | false | null
  readonly isResumed: boolean
  /** For the next visit; the last one received. */
  readonly session: Buffer | undefined
  /** The whole answer. */
  readonly text: string
}

/** Sends one request over a TLS connection of its own. Rejects if the connection ends without an answer. */
export async function visit(port: number, options: ConnectionOptions): Promise<Visit> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  let session: Buffer | undefined
  let text = ''
  socket.on('session', (given) => {
    session = given
  })
  socket.setEncoding('latin1')
  socket.on('data', (data: string) => {
    text += data
  })
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`no answer but ${text}`)))
  try {
    await once(socket, 'secureConnect')
    const agreed = {
      commonName: commonName(socket),
      protocol: socket.getProtocol(),
      alpn: socket.alpnProtocol,
      isResumed: socket.isSessionReused(),
    }
    socket.write('GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n')
    await once(socket, 'end')
    if (text === '') throw new Error('the connection ended without an answer')
    return { ...agreed, session, text }
  } finally {
    socket.destroy()
  }
}

/** The name on the certificate that the other side has shown. */
export function commonName(socket: TLSSocket): string {
  return String(socket.getPeerCertificate().subject?.CN)
}

/** How a plane is started; what is left out is made. */
export interface TestPlaneOptions {
  readonly shared?: SharedState
  readonly threadIndex?: number
  readonly clock?: Clock
  /** More of the configuration; without, every request is answered with `here`. */
  readonly settings?: Settings
}

/** The data plane of one thread, with one listener over TLS. */
export class TestPlane {
  readonly plane: ThreadPlane
  port = 0
  /** Messages of the log, with their reasons. */
  readonly log: string[] = []
  readonly #settings: Settings
  readonly #directory: EndpointDirectory
  #generation = 0

  private constructor(options: TestPlaneOptions) {
    const { shared = createSharedState(1), threadIndex = 0, clock = systemClock } = options
    const note = (fields: Readonly<Record<string, unknown>>, message: string): void => {
      this.log.push(`${message} ${fields.error ?? ''}`.trim())
    }
    const log: PolicyLog = { info: note, warn: note, error: note, line: () => {} }
    this.plane = createDataPlane({ shared, threadIndex, policies: new Map(), log, clock })
    this.#directory = new EndpointDirectory(
      shared.endpoints,
      new SystemResolver(),
      () => {},
      () => {},
    )
    this.#settings = {
      routes: [{ respond: { status: 200, body: 'here' } }],
      ...options.settings,
    }
  }

  /** Starts one with these TLS settings; it is closed when the test ends. */
  static async start(
    t: TestContext,
    tls: Settings,
    options: TestPlaneOptions = {},
  ): Promise<TestPlane> {
    const made = new TestPlane(options)
    const { plane } = made
    t.after(async () => {
      made.#directory.close()
      await plane.close()
      await eventually(
        () => plane.stats().clientConnections === 0,
        () => 'the plane to give everything back',
      )
    })
    await made.apply(tls)
    const address = { host: '127.0.0.1', port: 0 }
    const { port } = await plane.listen('listen 127.0.0.1:0#0', address)
    made.port = port
    return made
  }

  /** Makes other TLS settings live. @throws Error when they cannot be used. */
  async apply(tls: Settings): Promise<void> {
    const generation = ++this.#generation
    const listen = { url: 'https://127.0.0.1:0', tls }
    const { document } = await loadObject({ listen, ...this.#settings } as never)
    const { problems } = await this.plane.prepare(document, generation)
    if (problems.length > 0) throw new Error(problems.join('\n'))
    this.plane.updateEndpoints(await this.#directory.configure(document))
    this.plane.switchTo(generation)
  }
}
