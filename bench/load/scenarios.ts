// What the subjects are put through, and what is counted.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { accessToken } from './access-token.ts'
import { download, h2load, type LoadReport, wrk } from './load-tools.ts'
import { cpuSeconds } from './processes.ts'
import type { ScenarioName } from './subject.ts'
import { routePaths } from './subjects/gatehouse.ts'
import { bigFileBytes } from './upstream.ts'

/** A subject that runs and can be loaded. */
export interface Running {
  readonly url: string
  readonly pid: number
  /** For what a load tool reads or writes. */
  readonly folder: string
  /** How many routes it has in the scenario `routes`. */
  readonly routes: number
}

/** A number that a scenario yields, with its heading and decimals. */
export interface Metric {
  readonly key: string
  readonly title: string
  readonly digits: number
}

/** One way of loading every subject. The first metric is the one that subjects are compared by. */
export interface Scenario {
  readonly name: ScenarioName
  readonly title: string
  readonly metrics: readonly Metric[]
  /** Loads a subject for some seconds; `peak` is nginx's throughput with small JSON. */
  load(running: Running, seconds: number, peak: number): Promise<Record<string, number>>
}

const requestMetrics: Metric[] = [
  { key: 'cpuMicros', title: 'CPU µs/request', digits: 1 },
  { key: 'perSecond', title: 'requests/s', digits: 0 },
  { key: 'p50Micros', title: 'p50 µs', digits: 0 },
  { key: 'p99Micros', title: 'p99 µs', digits: 0 },
  { key: 'errors', title: 'errors', digits: 0 },
]

async function withCpu(
  { pid }: Running,
  load: () => Promise<LoadReport>,
): Promise<Record<string, number>> {
  const before = cpuSeconds(pid)
  const { requests, seconds, p50, p99, errors } = await load()
  const cpuMicros = ((cpuSeconds(pid) - before) * 1e6) / requests
  return { cpuMicros, perSecond: requests / seconds, p50Micros: p50, p99Micros: p99, errors }
}

function wrkScenario(
  name: ScenarioName,
  title: string,
  path: string,
  options: (running: Running) => string[] = () => [],
): Scenario {
  return {
    name,
    title,
    metrics: requestMetrics,
    load: (running, seconds) =>
      withCpu(running, () => wrk(running.url + path, seconds, options(running))),
  }
}

function luaScript(folder: string, lines: readonly string[]): string[] {
  const path = join(folder, 'wrk.lua')
  writeFileSync(path, lines.join('\n'))
  return ['-s', path]
}

/** Walks all routes with a stride, so that neighbours in the file are not neighbours in time. */
function walkRoutes({ folder, routes }: Running): string[] {
  const paths = routePaths(routes).map((path) => `"${path.replace('{id}', '7')}"`)
  return luaScript(folder, [
    `local paths = { ${paths.join(', ')} }`,
    'local requests = {}',
    'local at = 0',
    'function init() for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path) end end',
    'function request() at = (at + 7919) % #requests; return requests[at + 1] end',
  ])
}

const post16Kb = [
  'wrk.method = "POST"',
  'wrk.body = string.rep("x", 16384)',
  'wrk.headers["Content-Type"] = "application/octet-stream"',
]

const streaming: Scenario = {
  name: 'stream-1gb',
  title: 'A response of 1 GB over one connection',
  metrics: [
    { key: 'cpuSeconds', title: 'CPU s/GB', digits: 2 },
    { key: 'mbPerSecond', title: 'MB/s', digits: 0 },
  ],
  async load({ url, pid }) {
    const before = cpuSeconds(pid)
    const { seconds } = await download(`${url}/big`, bigFileBytes)
    const gigabytes = bigFileBytes / 1e9
    const cpu = (cpuSeconds(pid) - before) / gigabytes
    return { cpuSeconds: cpu, mbPerSecond: (gigabytes * 1000) / seconds }
  },
}

const offeredLoad: Scenario = {
  name: 'offered-load',
  title: "Latency at an equal offered load, half of nginx's peak (h2load)",
  metrics: [
    { key: 'p99Micros', title: 'p99 µs', digits: 0 },
    { key: 'p50Micros', title: 'p50 µs', digits: 0 },
    { key: 'perSecond', title: 'requests/s', digits: 0 },
    { key: 'cpuMicros', title: 'CPU µs/request', digits: 1 },
    { key: 'errors', title: 'errors', digits: 0 },
  ],
  load: (running, seconds, peak) =>
    withCpu(running, () =>
      h2load(`${running.url}/`, seconds, peak / 2, join(running.folder, 'h2load.log')),
    ),
}

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  wrkScenario('small-json', 'Pass-through of small JSON, 64 connections', '/'),
  wrkScenario('policies', 'Request id, access log, CORS and header edits', '/', () => [
    '-HOrigin: http://localhost:3000',
  ]),
  wrkScenario(
    'shop-chain',
    'Request id, JWT (RS256, remembered), rate limit, CORS and access log; nginx: bare pass-through',
    '/',
    () => ['-HOrigin: http://localhost:3000', `-HAuthorization: Bearer ${accessToken()}`],
  ),
  wrkScenario('routes', 'Many routes, literal and with parameters', '', walkRoutes),
  wrkScenario('post-16kb', 'POST of 16 KB', '/', ({ folder }) => luaScript(folder, post16Kb)),
  wrkScenario('tls', 'Small JSON over TLS, 64 kept connections', '/'),
  streaming,
  offeredLoad,
]
