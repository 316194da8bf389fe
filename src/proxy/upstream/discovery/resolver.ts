// Names to addresses as programs on this machine see them: hosts file, then search list, then DNS,
// and with the time to live, which the system's own call does not tell.
import { Resolver } from 'node:dns/promises'
import { isIP, isIPv6 } from 'node:net'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { ChangingFile } from './changing-file.ts'
import type { SrvRecord } from './dns-message.ts'
import { type Hosts, parseHosts } from './hosts-file.ts'
import { fullNames, parseResolvConf, type ResolvConf } from './resolv-conf.ts'
import { querySrv } from './srv-query.ts'

/** One address of a name. */
export interface ResolvedAddress {
  readonly ip: string
  /** How long it may be used before it is asked for again; Infinity for a literal. */
  readonly ttlMs: number
}

/**
 * Why there is no address: `nxdomain` when whoever is responsible says that there is none,
 * `temporary` when nobody could say.
 */
export type ResolveFailure = 'nxdomain' | 'temporary'

/** A question without a useful answer. */
export interface FailedResolution {
  readonly failure: ResolveFailure
  readonly reason: string
}

/** What became of a name. */
export type Resolution =
  | { readonly failure: null; readonly addresses: readonly ResolvedAddress[] }
  | FailedResolution

/** What became of the name of a service. */
export type SrvResolution =
  | { readonly failure: null; readonly records: readonly SrvRecord[]; readonly ttlMs: number }
  | FailedResolution

/** Turns names into addresses. Never rejects. */
export interface NameResolver {
  resolve(name: string): Promise<Resolution>
}

/** Turns names like `_http._tcp.orders.internal` into places (RFC 2782). Never rejects. */
export interface SrvResolver {
  resolveSrv(name: string): Promise<SrvResolution>
}

/** Where to look; what is left out is where the system looks. */
export interface ResolverSettings {
  readonly hostsFile?: string
  readonly resolvConf?: string
  /** 'ip' or 'ip:port', in place of those of resolv.conf. */
  readonly nameservers?: readonly string[]
  readonly timeoutMs?: number
  readonly tries?: number
  readonly interfaces?: () => NetworkInterfaceInfo[]
}

interface Bounds {
  readonly timeoutMs: number
  readonly tries: number
}

/** How soon an entry of the hosts file is looked at again. */
const HOSTS_TTL_MS = 5000
const LOOPBACK = ['127.0.0.1', '::1']

/** The resolver of this machine. Files are read again when they change. */
export class SystemResolver implements NameResolver, SrvResolver {
  readonly #settings: ResolverSettings
  readonly #hosts: ChangingFile<Hosts>
  readonly #conf: ChangingFile<ResolvConf>
  readonly #interfaces: () => NetworkInterfaceInfo[]
  readonly #abort = new AbortController()
  #dns: Resolver | null = null
  #dnsKey = ''

  constructor(settings: ResolverSettings = {}) {
    this.#settings = settings
    this.#hosts = new ChangingFile(settings.hostsFile ?? '/etc/hosts', parseHosts)
    this.#conf = new ChangingFile(settings.resolvConf ?? '/etc/resolv.conf', parseResolvConf)
    this.#interfaces = settings.interfaces ?? machineInterfaces
  }

  async resolve(name: string): Promise<Resolution> {
    const literal = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name
    if (isIP(literal) !== 0) return found([{ ip: literal, ttlMs: Number.POSITIVE_INFINITY }])
    const local = await this.#local(name.replace(/\.$/, '').toLowerCase())
    if (local !== null) return found(local.map((ip) => ({ ip, ttlMs: HOSTS_TTL_MS })))
    return this.#search(name, (fullName, dns) => this.#ask(dns, fullName))
  }

  resolveSrv(name: string): Promise<SrvResolution> {
    return this.#search(name, async (fullName, dns, { timeoutMs, tries }) => {
      const settings = { nameservers: dns.getServers(), timeoutMs, tries }
      const answer = await querySrv(fullName, settings, this.#abort.signal)
      if (answer.kind === 'failed') return failed(fullName, answer.code)
      return { failure: null, records: answer.records, ttlMs: answer.ttlMs }
    })
  }

  /** Gives up all questions that are out; they end as temporary failures. */
  close(): void {
    this.#dns?.cancel()
    this.#abort.abort()
  }

  /** What the hosts file says; null when the name is not there. */
  async #local(name: string): Promise<readonly string[] | null> {
    const hosts = await this.#hosts.read()
    // RFC 6761 6.3: localhost is never asked for, whatever the file lacks.
    const isLoopback = name === 'localhost' || name.endsWith('.localhost')
    const ips = hosts.get(name) ?? (isLoopback ? (hosts.get('localhost') ?? LOOPBACK) : null)
    if (ips === null) return null
    // Images without IPv6 often carry "::1 localhost" all the same.
    const has6 = this.#interfaces().some(({ family }) => family === 'IPv6')
    const usable = has6 ? ips : ips.filter((ip) => !isIPv6(ip))
    return usable.length > 0 ? usable : ips
  }

  async #search<Found extends { readonly failure: null }>(
    name: string,
    ask: (name: string, dns: Resolver, bounds: Bounds) => Promise<Found | FailedResolution>,
  ): Promise<Found | FailedResolution> {
    const conf = await this.#conf.read()
    const { timeoutMs = conf.timeoutMs, tries = conf.tries } = this.#settings
    const dns = this.#dnsFor(conf, timeoutMs, tries)
    let unsure: FailedResolution | null = null
    for (const fullName of fullNames(name, conf)) {
      const answer = await ask(fullName, dns, { timeoutMs, tries })
      if (answer.failure === null) return answer
      // As glibc does: a name server that fails for one domain does not hide the others, but one
      // that cannot be reached ends the search, lest the name mean something else meanwhile.
      if (answer.failure === 'temporary') {
        if (!answer.reason.endsWith('ESERVFAIL')) return answer
        unsure = answer
      }
    }
    return unsure ?? { failure: 'nxdomain', reason: `${name}: no such name` }
  }

  #dnsFor(conf: ResolvConf, timeoutMs: number, tries: number): Resolver {
    const { nameservers = conf.nameservers } = this.#settings
    const key = `${nameservers} ${timeoutMs} ${tries}`
    if (this.#dns === null || key !== this.#dnsKey) {
      this.#dns = new Resolver({ timeout: timeoutMs, tries, maxTimeout: timeoutMs })
      this.#dnsKey = key
      const valid = nameservers.filter(isNameserver)
      if (valid.length > 0) this.#dns.setServers(valid)
    }
    return this.#dns
  }

  async #ask(dns: Resolver, name: string): Promise<Resolution> {
    const [ask4, ask6] = this.#families()
    const [answer4, answer6] = await Promise.all([
      ask4 ? answerOf(dns.resolve4(name, { ttl: true })) : [],
      ask6 ? answerOf(dns.resolve6(name, { ttl: true })) : [],
    ])
    const addresses = [answer4, answer6].flatMap((answer) =>
      typeof answer === 'string' ? [] : answer,
    )
    if (addresses.length > 0) return found(addresses)
    const codes = [answer4, answer6].filter((answer) => typeof answer === 'string')
    const unsure = codes.find((code) => !DEFINITE.has(code))
    return failed(name, unsure ?? codes[0] ?? 'ENODATA')
  }

  /**
   * Whether to ask for IPv4 and for IPv6 addresses: only for those this machine could reach, or every
   * second request would fail where IPv6 ends at the machine's own door.
   */
  #families(): [boolean, boolean] {
    const routed = this.#interfaces().filter(
      ({ address, internal }) => !internal && !address.startsWith('fe80:'),
    )
    const has4 = routed.some(({ family }) => family === 'IPv4')
    const has6 = routed.some(({ family }) => family === 'IPv6')
    return has4 || has6 ? [has4, has6] : [true, true]
  }
}

// The name servers answered, and the answer was: nothing.
const DEFINITE: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME'])

async function answerOf(
  records: Promise<{ address: string; ttl: number }[]>,
): Promise<ResolvedAddress[] | string> {
  try {
    return (await records).map(({ address, ttl }) => ({ ip: address, ttlMs: ttl * 1000 }))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN'
  }
}

function failed(name: string, code: string): FailedResolution {
  return { failure: DEFINITE.has(code) ? 'nxdomain' : 'temporary', reason: `${name}: ${code}` }
}

function found(addresses: readonly ResolvedAddress[]): Resolution {
  return { failure: null, addresses }
}

function isNameserver(text: string): boolean {
  const address = text.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1')
  return isIP(address) !== 0
}

function machineInterfaces(): NetworkInterfaceInfo[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
}
