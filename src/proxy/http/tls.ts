// The certificates of a listener: which one a client gets (SNI, RFC 6066 3), and taking new ones in
// while connections go on.
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import tls from 'node:tls'

/** One certificate as configured. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
  /** Names served with it; empty: those that the certificate carries. */
  readonly hosts: readonly string[]
}

/** What a TLS listener is made of. */
export interface ListenerTls {
  readonly certificates: readonly CertificateFiles[]
  readonly minVersion: '1.2' | '1.3'
  /** PEM file with the authorities of required client certificates, or null. */
  readonly clientCa: string | null
}

/** The certificates of one listener. */
export class CertificateStore {
  readonly #settings: ListenerTls
  #contexts = new Map<string, tls.SecureContext>()
  #first: tls.SecureContext | null = null
  #loaded = ''

  private constructor(settings: ListenerTls) {
    this.#settings = settings
  }

  /** Reads all files. @throws Error naming the file that cannot be used. */
  static async load(settings: ListenerTls): Promise<CertificateStore> {
    const store = new CertificateStore(settings)
    await store.reload()
    return store
  }

  /**
   * Reads the files again; new handshakes use what they hold now, open connections go on.
   * @returns whether anything changed.
   * @throws Error when a file cannot be used; the certificates in use stay.
   */
  async reload(): Promise<boolean> {
    const { certificates, clientCa, minVersion } = this.#settings
    const ca = clientCa === null ? null : await readFile(clientCa, 'utf8')
    const texts: { cert: string; key: string }[] = []
    for (const files of certificates) {
      texts.push({
        cert: await readFile(files.cert, 'utf8'),
        key: await readFile(files.key, 'utf8'),
      })
    }
    const loaded = JSON.stringify([texts, ca])
    if (loaded === this.#loaded) return false
    const contexts = new Map<string, tls.SecureContext>()
    let first: tls.SecureContext | null = null
    for (const [index, { cert, key }] of texts.entries()) {
      const files = certificates[index]!
      let context: tls.SecureContext
      try {
        context = tls.createSecureContext({
          cert,
          key,
          minVersion: minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
          ...(ca === null ? {} : { ca }),
        })
      } catch (error) {
        throw new Error(`${files.cert} with ${files.key}: ${(error as Error).message}`)
      }
      first ??= context
      for (const host of files.hosts.length > 0 ? files.hosts : certificateHosts(cert)) {
        if (!contexts.has(host.toLowerCase())) contexts.set(host.toLowerCase(), context)
      }
    }
    this.#contexts = contexts
    this.#first = first
    this.#loaded = loaded
    return true
  }

  /** The certificate for a server name: its own, that of its wildcard, or the first. */
  find(serverName: string): tls.SecureContext {
    const name = serverName.toLowerCase()
    const dot = name.indexOf('.')
    const wildcard = dot === -1 ? '' : `*${name.slice(dot)}`
    return this.#contexts.get(name) ?? this.#contexts.get(wildcard) ?? this.#first!
  }
}

function certificateHosts(pem: string): string[] {
  const names = new X509Certificate(pem).subjectAltName ?? ''
  return Array.from(names.matchAll(/(?:^|, )DNS:([^,]+)/g), (match) => match[1]!)
}

/**
 * The options of a TLS server on these certificates.
 * @param ticketKeys 48 bytes, the same in all threads, so that a session resumes in any of them.
 */
export function serverOptions(
  store: CertificateStore,
  settings: ListenerTls,
  ticketKeys: Buffer,
): tls.TlsOptions {
  return {
    SNICallback: (name, done) => done(null, store.find(name)),
    // HTTP/2 joins this list with its own codec; a client that asks for it alone is refused until then.
    ALPNProtocols: ['http/1.1'],
    minVersion: settings.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    requestCert: settings.clientCa !== null,
    rejectUnauthorized: settings.clientCa !== null,
    handshakeTimeout: 10_000,
    ticketKeys,
    sessionIdContext: 'gatehouse',
  }
}
