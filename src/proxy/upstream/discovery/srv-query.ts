// Asks name servers for SRV records: over UDP, and over TCP when an answer does not fit.
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { isIPv6, connect as tcpConnect } from 'node:net'
import { readSrvAnswer, type SrvMessage, srvQuestion } from './dns-message.ts'

/** Whom to ask, and how patiently. */
export interface SrvQuerySettings {
  /** As dns.getServers() gives them: an address, with a port if it is not 53. */
  readonly nameservers: readonly string[]
  /** For one try at one name server. */
  readonly timeoutMs: number
  readonly tries: number
}

type SrvAnswer = Exclude<SrvMessage, { kind: 'truncated' }>

const DNS_PORT = 53
const TIMED_OUT: SrvAnswer = { kind: 'failed', code: 'ETIMEOUT' }
/** What no other name server would know better. */
const DEFINITE = new Set(['ENOTFOUND', 'ENODATA'])

/** The SRV records of a full name, without search list. Never rejects; `abort` ends it as a time-out. */
export async function querySrv(
  name: string,
  { nameservers, timeoutMs, tries }: SrvQuerySettings,
  abort: AbortSignal,
): Promise<SrvAnswer> {
  let last = TIMED_OUT
  for (let attempt = 0; attempt < tries; attempt++) {
    for (const nameserver of nameservers) {
      const question = srvQuestion(name, randomInt(0x10000))
      if (question === null) return { kind: 'failed', code: 'EBADNAME' }
      const patience = AbortSignal.any([abort, AbortSignal.timeout(timeoutMs)])
      const short = await overUdp(nameserver, question, patience)
      const answer =
        short.kind === 'truncated' ? await overTcp(nameserver, question, patience) : short
      if (answer.kind === 'records' || DEFINITE.has(answer.code)) return answer
      last = answer
      if (abort.aborted) return TIMED_OUT
    }
  }
  return last
}

function overUdp(nameserver: string, question: Buffer, patience: AbortSignal): Promise<SrvMessage> {
  const { host, port } = placeOf(nameserver)
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    const finish = (answer: SrvMessage): void => {
      patience.removeEventListener('abort', onAbort)
      socket.removeAllListeners().on('error', () => {})
      try {
        socket.close()
      } catch {
        // It failed before it was open.
      }
      resolve(answer)
    }
    const onAbort = (): void => finish(TIMED_OUT)
    if (patience.aborted) return finish(TIMED_OUT)
    patience.addEventListener('abort', onAbort, { once: true })
    socket.on('error', (error) => finish(failureOf(error)))
    socket.on('message', (message) => {
      const answer = readSrvAnswer(message, question)
      if (answer !== null) finish(answer)
    })
    // Connected, so that the system drops what others send here.
    socket.connect(port, host, () => socket.send(question))
  })
}

function overTcp(nameserver: string, question: Buffer, patience: AbortSignal): Promise<SrvAnswer> {
  return new Promise((resolve) => {
    if (patience.aborted) return resolve(TIMED_OUT)
    const socket = tcpConnect(placeOf(nameserver))
    const finish = (answer: SrvAnswer): void => {
      patience.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(answer)
    }
    const onAbort = (): void => finish(TIMED_OUT)
    patience.addEventListener('abort', onAbort, { once: true })
    let received: Buffer = Buffer.alloc(0)
    socket.on('error', (error) => finish(failureOf(error)))
    socket.on('close', () => finish({ kind: 'failed', code: 'ECONNRESET' }))
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece])
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
      const answer = readSrvAnswer(received.subarray(2, 2 + received.readUInt16BE(0)), question)
      const isWhole = answer !== null && answer.kind !== 'truncated'
      finish(isWhole ? answer : { kind: 'failed', code: 'EBADRESP' })
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(question.length)
    socket.write(Buffer.concat([length, question]))
  })
}

function failureOf(error: Error): SrvAnswer {
  return { kind: 'failed', code: (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN' }
}

function placeOf(nameserver: string): { host: string; port: number } {
  const match = /^\[(.*)\](?::(\d+))?$/.exec(nameserver) ?? /^([^:]*):(\d+)$/.exec(nameserver)
  if (match === null) return { host: nameserver, port: DNS_PORT }
  return { host: match[1]!, port: Number(match[2] ?? DNS_PORT) }
}
