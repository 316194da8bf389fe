// TLS towards a service: whom it trusts, what it shows, and the sessions it resumes.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import tls from 'node:tls'
import type { Clock } from '../../lib/clock.ts'
import { requireCertificate, requirePair } from '../http/tls.ts'
import type { TlsTarget } from '../http/upstream-socket.ts'

/** What the configuration says. File names are absolute. */
export interface UpstreamTlsSettings {
  /** PEM file with the authorities to trust in place of the system's, or null. */
  readonly ca: string | null
  /** Name asked for and verified in place of the endpoint's host, or null. */
  readonly serverName: string | null
  /** PEM files: what the service is shown, or null. */
  readonly cert: string | null
  readonly key: string | null
  readonly verify: boolean
}

type ReadText = (path: string) => string

/** How long a session is resumed before the endpoint has to show its certificate again. */
const SESSION_AGE_MS_MAX = 3_600_000

/** TLS of one service in one thread. */
export class UpstreamTls {
  readonly settings: UpstreamTlsSettings
  /** Two that hold the same connect in the same way. */
  contents: string
  /** What connections share. */
  context: tls.SecureContext

  /** @throws Error naming the file that cannot be used. */
  constructor(settings: UpstreamTlsSettings, read: ReadText) {
    this.settings = settings
    const texts = fileNames(settings).map((file) => (file === null ? null : read(file)))
    this.contents = JSON.stringify([settings, texts])
    this.context = secureContext(settings, texts)
  }

  /**
   * Reads the files again; new connections use what they hold now, open ones go on.
   * @returns whether anything changed.
   * @throws Error naming the file that cannot be used; what was in use stays.
   */
  async reload(): Promise<boolean> {
    const { settings } = this
    const texts: (string | null)[] = []
    for (const file of fileNames(settings)) {
      texts.push(file === null ? null : await readFile(file, 'utf8'))
    }
    const contents = JSON.stringify([settings, texts])
    if (contents === this.contents) return false
    this.context = secureContext(settings, texts)
    this.contents = contents
    return true
  }
}

function fileNames({ ca, cert, key }: UpstreamTlsSettings): (string | null)[] {
  return [ca, cert, key]
}

/** By what they were made of. Most services of a gateway trust and show the same, in every generation. */
const contexts = new Map<string, WeakRef<tls.SecureContext>>()

/** Reading the authorities of a whole system takes some 20 ms, so what is made once is shared. */
function secureContext(
  settings: UpstreamTlsSettings,
  texts: readonly (string | null)[],
): tls.SecureContext {
  const digest = createHash('sha256').update(JSON.stringify(texts)).digest('base64')
  const known = contexts.get(digest)?.deref()
  if (known !== undefined) return known
  const made = makeContext(settings, texts)
  for (const [key, context] of contexts) if (context.deref() === undefined) contexts.delete(key)
  contexts.set(digest, new WeakRef(made))
  return made
}

function makeContext(
  settings: UpstreamTlsSettings,
  [ca = null, cert = null, key = null]: readonly (string | null)[],
): tls.SecureContext {
  if (ca !== null) requireCertificate(ca, settings.ca!)
  try {
    if (cert !== null) requirePair(cert, key ?? '')
    return tls.createSecureContext({
      minVersion: 'TLSv1.2',
      ca: ca ?? systemAuthorities(),
      ...(cert === null ? {} : { cert }),
      ...(key === null ? {} : { key }),
    })
  } catch (error) {
    const files = fileNames(settings).filter((file) => file !== null)
    throw new Error(`${files.join(' with ')}: ${(error as Error).message}`)
  }
}

/** The system's, with NODE_EXTRA_CA_CERTS; where the system has none, as in small containers, node's. */
function systemAuthorities(): string[] {
  const system = tls.getCACertificates('system')
  const trusted = system.length > 0 ? system : tls.getCACertificates('bundled')
  return [...new Set([...trusted, ...tls.getCACertificates('extra')])]
}

/** TLS to one endpoint. */
export class EndpointTls implements TlsTarget {
  readonly #tls: UpstreamTls
  readonly #clock: Clock
  readonly #options: tls.ConnectionOptions
  #session: Buffer | undefined
  /** What the session was made with; it proves nothing to another one. */
  #context: tls.SecureContext | undefined
  #provenAt = 0

  /** @param name the endpoint's host as configured: a name or an address. */
  constructor(upstream: UpstreamTls, name: string, clock: Clock) {
    const { serverName, verify } = upstream.settings
    this.#tls = upstream
    this.#clock = clock
    this.#options = {
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: verify,
      ...identity(serverName ?? name),
    }
  }

  connectOptions(): tls.ConnectionOptions {
    const { context } = this.#tls
    const age = this.#clock.now() - this.#provenAt
    if (context !== this.#context || age > SESSION_AGE_MS_MAX) this.#session = undefined
    this.#context = context
    const session = this.#session === undefined ? {} : { session: this.#session }
    return { ...this.#options, ...session, secureContext: context }
  }

  onSecure(isResumed: boolean): void {
    if (!isResumed) this.#provenAt = this.#clock.now()
  }

  onSession(session: Buffer, context: tls.SecureContext | undefined): void {
    if (context === this.#context) this.#session = session
  }

  /** The session may be what the endpoint did not like. */
  onFailure(): void {
    this.#session = undefined
  }
}

/** SNI takes names only (RFC 6066 3); an address is looked for in the certificate without it. */
function identity(name: string): tls.ConnectionOptions {
  if (isIP(name) === 0) return { servername: name.replace(/\.$/, '') }
  return { checkServerIdentity: (_host, shown) => tls.checkServerIdentity(name, shown) }
}
