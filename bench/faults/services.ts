// The services that the fault suite puts behind one gateway: for each balancer and fault three instances
// of their own, and for each way in which all of them can fail.
import { fleet, type Instance, type Mode } from '../../test/support/fleet.ts'
import type { Callers } from './open-load.ts'

/** How long an attempt may take. */
export const ATTEMPT_MS = 250

/** A way to fail. */
export interface Fault {
  readonly name: string
  readonly mode: Mode
  /** How long an instance takes to answer while it is well. */
  readonly okMs: number
  /** Whether attempts end well, so that nothing but a balancer that looks at latencies can tell. */
  readonly isQuiet: boolean
}

export const FAULTS: readonly Fault[] = [
  { name: 'refuses', mode: 'refuse', okMs: 5, isQuiet: false },
  { name: 'resets', mode: 'reset', okMs: 5, isQuiet: false },
  { name: 'stalls', mode: 'stall', okMs: 5, isQuiet: false },
  { name: 'answers 500', mode: '500', okMs: 5, isQuiet: false },
  { name: 'slow: 5 → 500 ms', mode: 'slow', okMs: 5, isQuiet: false },
  { name: 'slow: 1 → 100 ms', mode: 'slow', okMs: 1, isQuiet: true },
]

/** A way to spread load, and those who call. */
export interface Balancer {
  readonly name: string
  readonly settings: Readonly<Record<string, unknown>>
  /** Whether it sends less to whom it sees to be slow. */
  readonly seesLatency: boolean
  callers(): Callers
}

const anybody = (): Callers => ({ headers: () => ({}) })
const KEYS = 300

/** Every request is that of one of many users. */
const users = (): Callers => ({
  headers: () => ({ 'x-user': `user-${Math.floor(Math.random() * KEYS)}` }),
})

const SESSIONS = 30
const REQUESTS_PER_SESSION = 20

/** Visitors who keep the cookie they got, leave after some requests, and are followed by new ones. */
function visitors(): Callers {
  const cookies: string[] = Array.from({ length: SESSIONS }, () => '')
  const left = cookies.map((_, index) => 1 + (index % REQUESTS_PER_SESSION))
  return {
    headers() {
      const session = Math.floor(Math.random() * SESSIONS)
      left[session]! -= 1
      if (left[session]! < 0) {
        left[session] = REQUESTS_PER_SESSION
        cookies[session] = ''
      }
      return { cookie: cookies[session], 'x-session': String(session) }
    },
    answered(headers, answer) {
      const [cookie] = answer['set-cookie'] ?? []
      if (cookie !== undefined) cookies[Number(headers['x-session'])] = cookie.split(';')[0]!
    },
  }
}

export const BALANCERS: readonly Balancer[] = [
  { name: 'p2c', settings: { balance: 'p2c' }, seesLatency: true, callers: anybody },
  {
    name: 'round-robin',
    settings: { balance: 'round-robin' },
    seesLatency: false,
    callers: anybody,
  },
  {
    name: 'least-connections',
    settings: { balance: 'least-connections' },
    seesLatency: false,
    callers: anybody,
  },
  { name: 'random', settings: { balance: 'random' }, seesLatency: false, callers: anybody },
  {
    name: 'hash',
    settings: { balance: { hash: { by: 'header', name: 'x-user' } } },
    seesLatency: false,
    callers: users,
  },
  {
    name: 'sticky',
    settings: { sticky: { secret: 'a secret of the fault suite alone' } },
    seesLatency: false,
    callers: visitors,
  },
]

/** What all services say, but for the balancer; the rest is as it comes. */
const SETTINGS = {
  timeouts: { connect: `${ATTEMPT_MS}ms`, attempt: `${ATTEMPT_MS}ms` },
  retries: { attempts: 2, on: ['connect', 'reset', 'timeout', 500, 502, 503, 504] },
}

/** One of the services, with its instances. */
export interface Served {
  readonly name: string
  readonly instances: readonly Instance[]
  readonly settings: Readonly<Record<string, unknown>>
}

/** Starts the instances of a service. */
export async function serve(
  name: string,
  settings: Readonly<Record<string, unknown>>,
  okMs: number,
): Promise<Served> {
  const instances = await fleet(3)
  for (const instance of instances) instance.okMs = okMs
  const endpoints = instances.map(({ url }) => url)
  return { name, instances, settings: { ...SETTINGS, ...settings, endpoints } }
}

/** The configuration of a gateway in front of them: each answers under its own name. */
export function configurationOf(port: number, services: readonly Served[]): unknown {
  return {
    listen: `http://127.0.0.1:${port}`,
    admin: false,
    threads: 2,
    log: { level: 'error' },
    services: Object.fromEntries(services.map(({ name, settings }) => [name, settings])),
    routes: services.map(({ name }) => ({ path: `/${name}`, to: name })),
  }
}
