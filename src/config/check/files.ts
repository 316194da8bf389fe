// Checks of certificates and keys: the files can be read, fit each other, and are in force.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { ENDPOINT_FILE_BYTES_MAX, readEndpoints } from '../endpoint-file.ts'
import { type DataPath, errorAt, type Finding, warningAt } from '../problem.ts'
import type { CheckInput } from './input.ts'

/** All checks of files that the document names. */
export function checkFiles(input: CheckInput): Finding[] {
  const findings: Finding[] = []
  for (const [index, { tls }] of input.document.listeners.entries()) {
    if (tls === null) continue
    const isList = Array.isArray(input.written(input.listenerPath(index, 'tls', 'certificates')))
    for (const [place, { cert, key, hosts }] of tls.certificates.entries()) {
      const path = input.listenerPath(index, 'tls', 'certificates', ...(isList ? [place] : []))
      const certificate = checkPair(path, cert, key, findings)
      if (certificate !== null) checkHosts([...path, 'hosts'], certificate, hosts, findings)
    }
    if (tls.clientCa !== null)
      readCertificate(input.listenerPath(index, 'tls', 'clientCa'), tls.clientCa, findings)
  }
  for (const { name, tls, discover } of input.document.services) {
    if (discover?.kind === 'file') {
      const path: DataPath = ['services', name, 'discover', 'file']
      checkEndpoints(path, discover.path, tls === null ? 'http' : 'https', findings)
    }
    if (tls === null) continue
    const path: DataPath = ['services', name, 'tls']
    if (tls.ca !== null) readCertificate([...path, 'ca'], tls.ca, findings)
    if (tls.cert !== null && tls.key !== null) checkPair(path, tls.cert, tls.key, findings)
  }
  return findings
}

function checkEndpoints(
  path: DataPath,
  file: string,
  scheme: 'http' | 'https',
  findings: Finding[],
): void {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (stats !== undefined && (!stats.isFile() || stats.size > ENDPOINT_FILE_BYTES_MAX)) {
    const limit = `${ENDPOINT_FILE_BYTES_MAX / 1024}kb`
    findings.push(errorAt(path, `${file} is not a file, or larger than ${limit}`))
    return
  }
  const bytes = read(path, file, findings)
  if (bytes === null) return
  for (const problem of readEndpoints(file, bytes.toString(), scheme).problems ?? []) {
    findings.push(errorAt(path, problem))
  }
}

function checkPair(
  path: DataPath,
  certFile: string,
  keyFile: string,
  findings: Finding[],
): X509Certificate | null {
  const certificate = readCertificate([...path, 'cert'], certFile, findings)
  const key = readKey([...path, 'key'], keyFile, findings)
  if (certificate !== null && key !== null && !certificate.checkPrivateKey(key)) {
    findings.push(errorAt([...path, 'key'], 'this key does not belong to the certificate'))
  }
  return certificate
}

function checkHosts(
  path: DataPath,
  certificate: X509Certificate,
  hosts: readonly string[],
  findings: Finding[],
): void {
  for (const [index, host] of hosts.entries()) {
    const name = host.startsWith('*.') ? `any${host.slice(1)}` : host
    if (certificate.checkHost(name) === undefined) {
      findings.push(warningAt([...path, index], `the certificate is not for "${host}"`))
    }
  }
}

function readCertificate(
  path: DataPath,
  file: string,
  findings: Finding[],
): X509Certificate | null {
  const bytes = read(path, file, findings)
  if (bytes === null) return null
  try {
    const certificate = new X509Certificate(bytes)
    const now = Date.now()
    if (Date.parse(certificate.validTo) < now) {
      findings.push(warningAt(path, `the certificate ended on ${certificate.validTo}`))
    } else if (Date.parse(certificate.validFrom) > now) {
      findings.push(warningAt(path, `the certificate begins on ${certificate.validFrom}`))
    }
    return certificate
  } catch {
    findings.push(errorAt(path, `${file} holds no certificate`, { expected: 'a PEM file' }))
    return null
  }
}

function readKey(path: DataPath, file: string, findings: Finding[]): KeyObject | null {
  const bytes = read(path, file, findings)
  if (bytes === null) return null
  try {
    return createPrivateKey(bytes)
  } catch {
    findings.push(
      errorAt(path, `${file} holds no private key that can be used`, {
        expected: 'a PEM file without a passphrase',
      }),
    )
    return null
  }
}

function read(path: DataPath, file: string, findings: Finding[]): Buffer | null {
  try {
    return readFileSync(file)
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message
    findings.push(
      errorAt(path, `${file} cannot be read: ${reason}`, {
        expected: 'a readable file; a relative name starts at the directory of the configuration',
      }),
    )
    return null
  }
}
