// The resolver's configuration: name servers, and which names a short name stands for (resolv.conf(5)).

/** What Gatehouse takes from resolv.conf. */
export interface ResolvConf {
  /** Empty when the file names none. */
  readonly nameservers: readonly string[]
  readonly search: readonly string[]
  /** Names with at least so many dots are tried as they are first. */
  readonly ndots: number
  /** For one try at one name server. */
  readonly timeoutMs: number
  readonly tries: number
}

const NDOTS_MAX = 15
const TIMEOUT_SECONDS_MAX = 30
const TRIES_MAX = 5

/** Reads the text of a resolv.conf; what it does not say has the defaults of glibc, but a shorter timeout. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = []
  const options = new Map<string, number>()
  let search: string[] = []
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/)
    if (keyword === 'nameserver' && values[0] !== undefined) nameservers.push(values[0])
    // Of several lines the last one counts, whether search or domain.
    else if (keyword === 'search') search = values.map(withoutDot)
    else if (keyword === 'domain') search = values.slice(0, 1).map(withoutDot)
    else if (keyword === 'options') {
      for (const value of values) {
        const [name, number] = value.split(':')
        if (/^\d+$/.test(number ?? '')) options.set(name!, Number(number))
      }
    }
  }
  return {
    nameservers,
    search: search.filter((domain) => domain !== ''),
    ndots: Math.min(options.get('ndots') ?? 1, NDOTS_MAX),
    timeoutMs: bounded(options.get('timeout') ?? 2, TIMEOUT_SECONDS_MAX) * 1000,
    tries: bounded(options.get('attempts') ?? 2, TRIES_MAX),
  }
}

/** The full names that `name` may stand for, in the order in which they are asked for. */
export function fullNames(name: string, { search, ndots }: ResolvConf): string[] {
  if (name.endsWith('.')) return [withoutDot(name)]
  const dots = name.split('.').length - 1
  const found = search.map((domain) => `${name}.${domain}`)
  return dots >= ndots ? [name, ...found] : [...found, name]
}

function withoutDot(domain: string): string {
  return domain.endsWith('.') ? domain.slice(0, -1) : domain
}

function bounded(value: number, max: number): number {
  return Math.min(Math.max(value, 1), max)
}
