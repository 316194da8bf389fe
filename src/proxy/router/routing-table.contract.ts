// What the router must do, as a linear scan that applies the sentence of precedence word by word;
// with generators of routes and requests, and short ways to write both. For tests.
import fc from 'fast-check'
import type { RoutedRequest, RouteEntry, ValueCondition } from './route-entry.ts'

type Condition = [name: string, kind: ValueCondition['kind'], value?: string]

/** A route with everything optional; its value is its id. */
export interface TestEntry {
  id?: string
  hosts?: string[]
  path?: string | null
  methods?: string[]
  headers?: Condition[]
  query?: Condition[]
  clientIps?: string[]
  priority?: number
}

/** A request with everything optional. */
export interface Probe {
  host?: string
  method?: string
  path?: string
  query?: string
  clientIp?: string
  headers?: Record<string, string>
}

const toCondition = ([name, kind, value = '']: Condition): ValueCondition => ({ name, kind, value })

export function entryOf(entry: TestEntry): RouteEntry<string> {
  const id = entry.id ?? 'route'
  return {
    id,
    hosts: entry.hosts ?? [],
    path: entry.path ?? null,
    methods: entry.methods ?? [],
    headers: (entry.headers ?? []).map(toCondition),
    query: (entry.query ?? []).map(toCondition),
    clientIps: entry.clientIps ?? [],
    priority: entry.priority ?? 0,
    value: id,
  }
}

export function requestOf(probe: Probe): RoutedRequest {
  return {
    host: probe.host ?? 'test',
    method: probe.method ?? 'GET',
    path: probe.path ?? '/',
    query: probe.query ?? '',
    clientIp: probe.clientIp ?? '127.0.0.1',
    requestHeader: (name) => probe.headers?.[name] ?? null,
  }
}

function takesHost(pattern: string, host: string): boolean {
  return pattern.startsWith('*.')
    ? host.endsWith(pattern.slice(1)) && host !== pattern.slice(1)
    : host === pattern
}

/** The higher the more specific; -1 if no host of the route takes the request. */
function hostRank(hosts: string[], host: string): number {
  if (hosts.length === 0) return 0
  let rank = -1
  for (const pattern of hosts) {
    if (takesHost(pattern, host))
      rank = Math.max(rank, pattern.startsWith('*.') ? pattern.length : 1000)
  }
  return rank
}

/** One letter per segment of a matching path, in alphabetical order of specificity; null if it does not match. */
function pathRank(pattern: string | null, path: string): string | null {
  if (pattern === null) return 'z'
  if (pattern.startsWith('~')) return new RegExp(pattern.slice(1).trim()).test(path) ? 'x' : null
  const asked = pattern.split('/').slice(1)
  const given = path.split('/').slice(1)
  let rank = ''
  for (const [index, segment] of asked.entries()) {
    if (segment === '*' && index === asked.length - 1) return `${rank}w`
    if (index >= given.length) return null
    if (segment.startsWith('{') ? given[index] === '' : segment !== given[index]) return null
    rank += segment.startsWith('{') ? 'p' : 'l'
  }
  return asked.length === given.length ? `${rank}a` : null
}

function holds([, kind, value = '']: Condition, given: string | null | undefined): boolean {
  if (given === null || given === undefined) return kind === 'absent'
  if (kind === 'exact') return given === value
  if (kind === 'prefix') return given.startsWith(value)
  if (kind === 'regex') return new RegExp(value).test(given)
  return kind === 'present'
}

/** How a route stands to a request: its rank for sorting, and whether the method suits; null if it does not match. */
function standing(entry: TestEntry, probe: Probe) {
  const host = hostRank(entry.hosts ?? [], probe.host!)
  const path = pathRank(entry.path ?? null, probe.path!)
  if (host < 0 || path === null) return null
  const query = new URLSearchParams(probe.query)
  if (!(entry.headers ?? []).every((it) => holds(it, probe.headers?.[it[0]]))) return null
  if (!(entry.query ?? []).every((it) => holds(it, query.get(it[0])))) return null
  const ips = entry.clientIps ?? []
  if (
    ips.length > 0 &&
    !ips.some((it) => probe.clientIp!.startsWith(it.slice(0, it.indexOf('.') + 1)))
  )
    return null
  const methods = entry.methods ?? []
  const all = methods.includes('GET') ? [...methods, 'HEAD'] : methods
  return {
    entry,
    methods: all,
    suits: all.length === 0 || all.includes(probe.method!),
    path,
    numbers: [
      host,
      Math.min(methods.length, 1),
      (entry.headers ?? []).length,
      (entry.query ?? []).length,
      Math.min(ips.length, 1),
      entry.priority ?? 0,
    ],
  }
}

type Standing = NonNullable<ReturnType<typeof standing>>

/** Negative if `a` goes first, 0 if the sentence of precedence does not separate them. */
function compareStandings(a: Standing, b: Standing): number {
  if (a.numbers[0] !== b.numbers[0]) return b.numbers[0]! - a.numbers[0]!
  if (a.path !== b.path) return a.path < b.path ? -1 : 1
  const at = a.numbers.findIndex((it, index) => it !== b.numbers[index])
  return at < 0 ? 0 : b.numbers[at]! - a.numbers[at]!
}

function standingsOf(entries: TestEntry[], probe: Probe): Standing[] {
  const byId = (a: Standing, b: Standing) => (a.entry.id! < b.entry.id! ? -1 : 1)
  return entries
    .map((entry) => standing(entry, probe))
    .filter((it) => it !== null)
    .sort((a, b) => compareStandings(a, b) || byId(a, b))
}

function scan(entries: TestEntry[], probe: Probe): { id: string | null; allow: string | null } {
  const standings = standingsOf(entries, probe)
  const first = standings.find((it) => it.suits)
  if (first !== undefined) return { id: first.entry.id!, allow: null }
  const methods = new Set(standings.flatMap((it) => it.methods))
  return { id: null, allow: methods.size === 0 ? null : [...methods].sort().join(', ') }
}

/** Pairs of routes that both take the request and that nothing separates. */
function unseparated(entries: TestEntry[], probe: Probe): [string, string][] {
  const standings = standingsOf(entries, probe).filter((it) => it.suits)
  return standings.flatMap((a, index) =>
    standings
      .slice(index + 1)
      .filter((b) => compareStandings(a, b) === 0)
      .map((b): [string, string] => [a.entry.id!, b.entry.id!]),
  )
}

const HOSTS = ['a.test', 'b.a.test', 'c.b.a.test', 'test', 'other']
const PATHS = ['/', '/a', '/b', '/a/', '/a/a', '/a/b', '/b/a', '/a/b/a', '/b/b/b', '/a//a']
const METHODS = ['GET', 'HEAD', 'POST']
const VALUES = ['', 'v', 'vw', 'x']
const QUERIES = ['', 'q=v', 'q=vw&q=x', 'q']
const IPS = ['10.1.2.3', '11.1.2.3']

const segments = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'b', 'a', 'b', '{}', ''), { maxLength: 3 }),
    fc.constantFrom('a', '{}', '*', ''),
  )
  .map(([front, last]) => [...front, last].map((it, index) => (it === '{}' ? `{p${index}}` : it)))
  .map((parts) => `/${parts.join('/')}`)

function conditions(names: string[], kinds: ValueCondition['kind'][]): fc.Arbitrary<Condition[]> {
  const one = fc.tuple(
    fc.constantFrom(...names),
    fc.constantFrom(...kinds),
    fc.constantFrom('', 'v', 'vw', 'x'),
  )
  return fc.array(
    one.map(
      ([name, kind, value]): Condition => [name, kind, kind === 'regex' ? `^${value}` : value],
    ),
    { maxLength: 2 },
  )
}

const ALL_KINDS: ValueCondition['kind'][] = ['exact', 'present', 'absent', 'prefix', 'regex']

function entriesWith(
  paths: fc.Arbitrary<string | null>,
  kinds: ValueCondition['kind'][],
): fc.Arbitrary<TestEntry[]> {
  const rarely = <T>(items: fc.Arbitrary<T[]>) =>
    fc.oneof({ weight: 2, arbitrary: fc.constant<T[]>([]) }, items)
  const entry = fc.record({
    hosts: rarely(
      fc.uniqueArray(fc.constantFrom('a.test', '*.test', '*.a.test', 'b.a.test'), { maxLength: 2 }),
    ),
    path: paths,
    methods: rarely(fc.uniqueArray(fc.constantFrom('GET', 'POST'), { maxLength: 2 })),
    headers: rarely(conditions(['h', 'i'], kinds)),
    query: rarely(conditions(['q'], kinds)),
    clientIps: rarely(
      fc.uniqueArray(fc.constantFrom('10.0.0.0/8', '11.0.0.0/8'), { maxLength: 2 }),
    ),
    priority: fc.constantFrom(0, 0, 1),
  })
  return fc
    .array(entry, { minLength: 1, maxLength: 12 })
    .map((entries) => entries.map((it, index) => ({ ...it, id: `r${index}` })))
}

const anyPath = fc.oneof(
  { weight: 8, arbitrary: segments },
  fc.constantFrom('~ ^/a', '~ b$', '~ ^/a/.*a', '~ ^/a/b/', null),
)

/** Generators of routes and requests over a small world, and the reference. */
export const world = {
  entries: entriesWith(anyPath, ALL_KINDS),
  /** Routes of which it can be decided whether two of them meet. */
  decidableEntries: entriesWith(fc.oneof(segments, fc.constant(null)), [
    'exact',
    'present',
    'absent',
    'prefix',
  ]),
  probe: fc.record({
    host: fc.constantFrom(...HOSTS),
    path: fc.constantFrom(...PATHS),
    method: fc.constantFrom(...METHODS),
    query: fc.constantFrom(...QUERIES),
    clientIp: fc.constantFrom(...IPS),
    headers: fc.dictionary(fc.constantFrom('h', 'i'), fc.constantFrom(...VALUES), {
      noNullPrototype: true,
    }),
  }) as fc.Arbitrary<Probe>,
  scan,
  unseparated,
}
