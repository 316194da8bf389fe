// What one lookup costs with 10 and with 10,000 routes, and what regular expressions cost.
// Run: node bench/micro/router.bench.ts. CPU nanoseconds per find(), medians of alternating rounds.
import {
  buildRoutingTable,
  type RoutedRequest,
  type RouteEntry,
} from '../../src/proxy/router/routing-table.ts'

const ROUNDS = 15
const LOOKUPS = 200_000
const FEW = 10
const MANY = 10_000

interface Kind {
  readonly name: string
  readonly route: (index: number) => string
  readonly path: (index: number) => string
}

const KINDS: readonly Kind[] = [
  {
    name: 'literal',
    route: (index) => `/api/service-${index}/items`,
    path: (index) => `/api/service-${index}/items`,
  },
  {
    name: 'parameter',
    route: (index) => `/api/service-${index}/items/{id}`,
    path: (index) => `/api/service-${index}/items/4711`,
  },
  {
    name: 'wildcard',
    route: (index) => `/api/service-${index}/*`,
    path: (index) => `/api/service-${index}/items/4711`,
  },
]

function entry(index: number, path: string): RouteEntry<number> {
  const none = { hosts: [], methods: [], headers: [], query: [], clientIps: [] }
  return { ...none, id: `route-${index}`, path, priority: 0, value: index }
}

class BenchRequest implements RoutedRequest {
  readonly host = 'shop.example'
  readonly method = 'GET'
  readonly path: string
  readonly query = ''
  readonly clientIp = '192.0.2.1'

  constructor(path: string) {
    this.path = path
  }

  requestHeader(): string | null {
    return null
  }
}

/** Requests to `spread` of the routes, evenly over the table, each with a path string of its own. */
function requestsTo(kind: Kind, routes: number, spread: number): RoutedRequest[] {
  return Array.from({ length: 1024 }, (_, turn) => {
    const index = Math.floor(((turn * 7) % spread) * (routes / spread))
    // Paths arrive as fresh strings cut from a head, without a hash that is known already.
    return new BenchRequest(Buffer.from(kind.path(index), 'latin1').toString('latin1'))
  })
}

type Round = () => number

function rounds(kind: Kind, routes: number, spread: number): Round {
  const table = buildRoutingTable(
    Array.from({ length: routes }, (_, index) => entry(index, kind.route(index))),
  )
  const requests = requestsTo(kind, routes, spread)
  return () => {
    const before = process.cpuUsage()
    let found = 0
    for (let turn = 0; turn < LOOKUPS; turn++) {
      if (table.find(requests[turn & 1023]!) !== null) found++
    }
    if (found !== LOOKUPS) throw new Error('a request found no route')
    return nanosecondsSince(before) / LOOKUPS
  }
}

/** Of CPU time: what others do on the machine counts less than with the clock on the wall. */
function nanosecondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) * 1000
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!
}

/** Medians of two things measured in turn. */
function alternate(few: Round, many: Round): [number, number] {
  const fewTimes: number[] = []
  const manyTimes: number[] = []
  for (let warm = 0; warm < 3; warm++) {
    few()
    many()
  }
  for (let round = 0; round < ROUNDS; round++) {
    fewTimes.push(few())
    manyTimes.push(many())
  }
  return [median(fewTimes), median(manyTimes)]
}

function print(name: string, few: number, many: number): void {
  const ratio = (many / few).toFixed(2)
  console.log(
    `${name.padEnd(34)} ${few.toFixed(0).padStart(7)} ${many.toFixed(0).padStart(7)} ${ratio.padStart(7)}`,
  )
}

console.log(`${'ns per find()'.padEnd(34)} ${'10'.padStart(7)} ${'10,000'.padStart(7)}   ratio`)
for (const kind of KINDS) {
  print(
    `${kind.name}, 10 routes in use`,
    ...alternate(rounds(kind, FEW, 10), rounds(kind, MANY, 10)),
  )
  print(
    `${kind.name}, 1,000 routes in use`,
    ...alternate(rounds(kind, FEW, 10), rounds(kind, MANY, 1000)),
  )
}

/** Requests that only the last of so many expressions takes. */
function expressions(count: number, source: (index: number) => string): Round {
  const table = buildRoutingTable(
    Array.from({ length: count }, (_, index) => entry(index, `~ ${source(index)}`)),
  )
  const request = new BenchRequest(`/api/service-${count - 1}/items/4711`)
  const lookups = 2000
  return () => {
    const before = process.cpuUsage()
    for (let turn = 0; turn < lookups; turn++) table.find(request)
    return nanosecondsSince(before) / lookups
  }
}

console.log(`\n${'regular expressions'.padEnd(34)} ${'1'.padStart(7)} ${'100'.padStart(7)}   ratio`)
const prefixed = (index: number) => `^/api/service-${index}/items/[0-9]+$`
const open = (index: number) => `/service-${index}/items/[0-9]+$`
print(
  'that begin with ^ and plain text',
  ...alternate(expressions(1, prefixed), expressions(100, prefixed)),
)
print('that do not', ...alternate(expressions(1, open), expressions(100, open)))
