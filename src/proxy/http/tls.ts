// The certificates of a listener: which one a client gets (RFC 6066 3), on what terms sessions are made
// and resumed, and the TLS server that encrypts what the listener accepts.
import { constants, createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type net from 'node:net'
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

/**
 * Forward secrecy and authenticated encryption only (RFC 9325 4.2); the cheapest cipher that a client
 * with AES in hardware has comes first.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** The certificates of one listener as they were read at one moment. */
export class Certificates {
  readonly settings: ListenerTls
  /** All that these certificates were made of. */
  readonly contents: string
  /** For clients that name no host, or one that nothing else is for. */
  readonly first: tls.SecureContextOptions
  readonly #byName = new Map<string, tls.SecureContext>()

  /** @throws Error naming the files that do not work together. */
  constructor(settings: ListenerTls, texts: readonly string[], contents: string) {
    this.settings = settings
    this.contents = contents
    const common = contextOptions(settings, texts.at(-1)!)
    for (const [index, files] of settings.certificates.entries()) {
      const cert = texts[2 * index]!
      const key = texts[2 * index + 1]!
      try {
        const own = certificateHosts(requirePair(cert, key))
        const context = tls.createSecureContext({ ...common, cert, key })
        for (const host of files.hosts.length > 0 ? files.hosts : own) {
          const name = host.toLowerCase()
          if (!this.#byName.has(name)) this.#byName.set(name, context)
        }
      } catch (error) {
        throw new Error(`${files.cert} with ${files.key}: ${(error as Error).message}`)
      }
    }
    this.first = { ...common, cert: texts[0]!, key: texts[1]! }
  }

  /** The certificate for a server name: its own or that of its wildcard; undefined leaves the first. */
  find(serverName: string): tls.SecureContext | undefined {
    const name = serverName.toLowerCase()
    const dot = name.indexOf('.')
    return this.#byName.get(name) ?? (dot < 0 ? undefined : this.#byName.get(`*${name.slice(dot)}`))
  }
}

/**
 * Reads all files of a listener.
 * @returns `before` itself if it was made of the same.
 * @throws Error naming the file that cannot be used.
 */
export async function loadCertificates(
  settings: ListenerTls,
  before: Certificates | null = null,
): Promise<Certificates> {
  const texts: string[] = []
  for (const { cert, key } of settings.certificates) {
    texts.push(await readFile(cert, 'utf8'), await readFile(key, 'utf8'))
  }
  texts.push(settings.clientCa === null ? '' : await readFile(settings.clientCa, 'utf8'))
  const contents = JSON.stringify([settings, texts])
  return contents === before?.contents ? before : new Certificates(settings, texts, contents)
}

function contextOptions(settings: ListenerTls, clientCa: string): tls.SecureContextOptions {
  if (settings.clientCa !== null) requireCertificate(clientCa, settings.clientCa)
  return {
    minVersion: settings.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    // A session that one set of client authorities let in must not resume under another: the resumed
    // handshake looks at no certificate. The ticket keys are the same everywhere, this is not.
    sessionIdContext: createHash('sha256').update(clientCa).digest('hex').slice(0, 32),
    ...(clientCa === '' ? {} : { ca: clientCa }),
  }
}

/**
 * Makes sure that a file of authorities names one: OpenSSL takes an empty one for none given, and then
 * trusts everybody that the public authorities vouch for.
 * @throws Error naming the file.
 */
export function requireCertificate(pem: string, file: string): void {
  try {
    new X509Certificate(pem)
  } catch {
    throw new Error(`${file} holds no certificate`)
  }
}

/**
 * Makes sure that both are there and belong together; to OpenSSL an empty text is none at all.
 * @returns the certificate.
 * @throws Error saying what is wrong.
 */
export function requirePair(cert: string, key: string): X509Certificate {
  const certificate = new X509Certificate(cert)
  if (certificate.checkPrivateKey(createPrivateKey(key))) return certificate
  throw new Error('the key does not belong to the certificate')
}

function certificateHosts(certificate: X509Certificate): string[] {
  const names = certificate.subjectAltName ?? ''
  return Array.from(names.matchAll(/(?:^|, )DNS:([^,]+)/g), (match) => match[1]!)
}

/**
 * A TLS server for sockets that someone else accepts and counts: they go in with `startTls`. Nothing of
 * it outlives them, so that new certificates simply come with another server.
 * @param ticketKeys 48 bytes, the same in all threads, so that a session resumes in any of them.
 * @param onSecure takes a client whose handshake is done; the others are closed.
 */
export function createTlsServer(
  certificates: Certificates,
  ticketKeys: Buffer,
  handshakeTimeoutMs: number,
  onSecure: (socket: tls.TLSSocket) => void,
): tls.Server {
  const wantsClientCertificate = certificates.settings.clientCa !== null
  const server = tls.createServer({
    ...certificates.first,
    SNICallback: (name, done) => done(null, certificates.find(name)),
    // HTTP/2 joins this list with its own codec; a client that asks for it alone is refused until then.
    ALPNProtocols: ['http/1.1'],
    requestCert: wantsClientCertificate,
    rejectUnauthorized: wantsClientCertificate,
    handshakeTimeout: handshakeTimeoutMs,
    ticketKeys,
  })
  server.on('secureConnection', (socket) => {
    socket.allowHalfOpen = true
    socket.resetAndDestroy = resetTransport
    // A broken record is only reported; nothing more can be read after it.
    socket.on('error', destroySelf)
    onSecure(socket)
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

/** Begins the handshake. A client that ends before it is done is gone: nothing could be answered. */
export function startTls(server: tls.Server, socket: net.Socket): void {
  socket.allowHalfOpen = false
  server.emit('connection', socket)
}

/** The socket below a TLS connection that `startTls` began; any other is its own. */
export function transportOf(socket: net.Socket): net.Socket {
  return (socket as unknown as { _parent?: net.Socket })._parent ?? socket
}

/** What TLSSocket inherits and refuses: ends the TCP connection below with a RST. */
function resetTransport(this: tls.TLSSocket): tls.TLSSocket {
  const transport = transportOf(this)
  if (transport === this) this.destroy()
  else transport.resetAndDestroy()
  return this
}

function destroySelf(this: tls.TLSSocket): void {
  this.destroy()
}
