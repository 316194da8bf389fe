// A small name server on loopback, UDP and TCP, that answers, lies and keeps silent as told.
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'

/** What the server does when asked for a name. */
export type Behaviour =
  | { readonly kind: 'addresses'; readonly ips: readonly string[]; readonly ttl: number }
  | { readonly kind: 'alias'; readonly target: string; readonly ttl: number }
  /** SRV records, each as 'priority weight port target'. */
  | { readonly kind: 'services'; readonly records: readonly string[]; readonly ttl: number }
  /** Answers over UDP only that the whole answer needs TCP. */
  | { readonly kind: 'truncated'; readonly ips: readonly string[]; readonly ttl: number }
  /** Exactly these bytes after the header and question of the answer. */
  | { readonly kind: 'raw'; readonly answers: number; readonly bytes: Buffer }
  | { readonly kind: 'servfail' | 'refused' | 'silent' | 'nxdomain' }

const TYPE_A = 1
const TYPE_CNAME = 5
const TYPE_AAAA = 28
const TYPE_SRV = 33
const TYPE_NAMES: Readonly<Record<number, string>> = {
  [TYPE_A]: 'A',
  [TYPE_AAAA]: 'AAAA',
  [TYPE_SRV]: 'SRV',
}
/** What an answer over UDP may hold without an agreement on more (RFC 1035 4.2.1). */
const UDP_BYTES_MAX = 512
const RCODES = { servfail: 2, nxdomain: 3, refused: 5 } as const

export class DnsServer {
  /** By lower-case name; names that are not here do not exist. */
  readonly names = new Map<string, Behaviour>()
  /** Every question that came in, as 'A name', 'AAAA name' or 'SRV name', over TCP with ' tcp' after it. */
  readonly asked: string[] = []
  readonly #udp: UdpSocket
  readonly #tcp: Server
  readonly #connections = new Set<Socket>()

  private constructor(udp: UdpSocket, tcp: Server) {
    this.#udp = udp
    this.#tcp = tcp
    udp.on('message', (query, peer) => {
      const answer = this.#answer(query, false)
      if (answer !== null) udp.send(answer, peer.port, peer.address)
    })
    tcp.on('connection', (socket) => this.#serve(socket))
  }

  static async start(): Promise<DnsServer> {
    for (;;) {
      const tcp = createServer().listen(0, '127.0.0.1')
      await once(tcp, 'listening')
      const udp = createSocket('udp4')
      udp.bind((tcp.address() as AddressInfo).port, '127.0.0.1')
      try {
        await once(udp, 'listening')
        return new DnsServer(udp, tcp)
      } catch {
        // The number is taken for UDP; another one will not be.
        tcp.close()
      }
    }
  }

  /** 'ip:port' for setServers. */
  get address(): string {
    return `127.0.0.1:${this.#udp.address().port}`
  }

  async stop(): Promise<void> {
    this.#udp.close()
    for (const socket of this.#connections) socket.destroy()
    this.#tcp.close()
    await Promise.all([once(this.#udp, 'close'), once(this.#tcp, 'close')])
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket)
    socket.on('close', () => this.#connections.delete(socket))
    socket.on('error', () => {})
    let pending: Buffer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0)
        const answer = this.#answer(pending.subarray(2, end), true)
        pending = pending.subarray(end)
        if (answer === null) continue
        const length = Buffer.alloc(2)
        length.writeUInt16BE(answer.length)
        socket.write(Buffer.concat([length, answer]))
      }
    })
  }

  #answer(query: Buffer, overTcp: boolean): Buffer | null {
    const [name, end] = readName(query, 12)
    const type = query.readUInt16BE(end)
    const question = query.subarray(12, end + 4)
    this.asked.push(`${TYPE_NAMES[type]} ${name}${overTcp ? ' tcp' : ''}`)
    const behaviour = this.names.get(name.toLowerCase()) ?? { kind: 'nxdomain' }
    switch (behaviour.kind) {
      case 'silent':
        return null
      case 'servfail':
      case 'refused':
      case 'nxdomain':
        return message(query, question, RCODES[behaviour.kind], false, [])
      case 'truncated':
        if (!overTcp) return message(query, question, 0, true, [])
        return message(query, question, 0, false, records(name, type, behaviour))
      case 'addresses':
        return message(query, question, 0, false, records(name, type, behaviour))
      case 'services': {
        const found = type === TYPE_SRV ? serviceRecords(name, behaviour) : []
        const whole = message(query, question, 0, false, found)
        if (overTcp || whole.length <= UDP_BYTES_MAX) return whole
        return message(query, question, 0, true, [])
      }
      case 'raw': {
        const head = message(query, question, 0, false, [])
        head.writeUInt16BE(behaviour.answers, 6)
        return Buffer.concat([head, behaviour.bytes])
      }
      case 'alias': {
        const target = this.names.get(behaviour.target)
        const alias = record(name, TYPE_CNAME, behaviour.ttl, writeName(behaviour.target))
        const rest =
          target?.kind === 'addresses'
            ? records(behaviour.target, type, target)
            : target?.kind === 'services'
              ? serviceRecords(behaviour.target, target)
              : []
        return message(query, question, 0, false, [alias, ...rest])
      }
    }
  }
}

function records(
  name: string,
  type: number,
  { ips, ttl }: { readonly ips: readonly string[]; readonly ttl: number },
): Buffer[] {
  const wanted = ips.filter((ip) => isIPv6(ip) === (type === TYPE_AAAA))
  return wanted.map((ip) => record(name, type, ttl, isIPv6(ip) ? bytes6(ip) : bytes4(ip)))
}

function serviceRecords(
  name: string,
  { records, ttl }: { readonly records: readonly string[]; readonly ttl: number },
): Buffer[] {
  return records.map((text) => {
    const [priority, weight, port, target] = text.split(' ')
    const fixed = Buffer.alloc(6)
    fixed.writeUInt16BE(Number(priority), 0)
    fixed.writeUInt16BE(Number(weight), 2)
    fixed.writeUInt16BE(Number(port), 4)
    return record(name, TYPE_SRV, ttl, Buffer.concat([fixed, writeName(target!)]))
  })
}

function message(
  query: Buffer,
  question: Buffer,
  rcode: number,
  truncated: boolean,
  answers: readonly Buffer[],
): Buffer {
  const head = Buffer.alloc(12)
  query.copy(head, 0, 0, 2)
  // A response, recursion desired and available.
  head.writeUInt16BE(0x8180 | (truncated ? 0x0200 : 0) | rcode, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(answers.length, 6)
  return Buffer.concat([head, question, ...answers])
}

function record(name: string, type: number, ttl: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(1, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(data.length, 8)
  return Buffer.concat([writeName(name), fixed, data])
}

function readName(from: Buffer, start: number): [string, number] {
  const labels: string[] = []
  let offset = start
  while (from[offset] !== 0) {
    const end = offset + 1 + from[offset]!
    labels.push(from.toString('latin1', offset + 1, end))
    offset = end
  }
  return [labels.join('.'), offset + 1]
}

function writeName(name: string): Buffer {
  if (name === '.') return Buffer.alloc(1)
  const labels = name.split('.').map((label) => Buffer.from(`.${label}`, 'latin1'))
  for (const label of labels) label[0] = label.length - 1
  return Buffer.concat([...labels, Buffer.alloc(1)])
}

function bytes4(ip: string): Buffer {
  return Buffer.from(ip.split('.').map(Number))
}

/** Knows forms with one '::' and without dots: what the tests use. */
function bytes6(ip: string): Buffer {
  const [left, right] = ip
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''))
  const groups = [...left!, ...new Array(8 - left!.length - right!.length).fill('0'), ...right!]
  const bytes = Buffer.alloc(16)
  groups.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  })
  return bytes
}
