// `npm run bench`: Gatehouse beside whichever other proxies this machine has. One upstream; for each
// scenario all subjects run at once and are loaded in turn, round after round, so that what changes
// on the machine changes for all of them.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { benchTools, findTool } from '../../scripts/debian-tools.ts'
import { budgetList } from './budgets.ts'
import { describeMachine } from './machine.ts'
import { type Options, readOptions, usage } from './options.ts'
import { freePort, start, stop, stopAll } from './processes.ts'
import { type Measurement, medianOf, type ScenarioResult, table, writeResults } from './report.ts'
import { type Running, type Scenario, scenarios } from './scenarios.ts'
import type { Setup, Subject } from './subject.ts'
import { caddy } from './subjects/caddy.ts'
import { gatehouse, gatehouse10Routes, gatehouse10000Routes } from './subjects/gatehouse.ts'
import { haproxy } from './subjects/haproxy.ts'
import { nginx } from './subjects/nginx.ts'
import { nodeHttpRequest, nodeHttpUndici } from './subjects/node-http.ts'
import { startUpstream } from './upstream.ts'

const subjects: readonly Subject[] = [
  gatehouse,
  gatehouse10Routes,
  gatehouse10000Routes,
  nginx,
  haproxy,
  caddy,
  nodeHttpUndici,
  nodeHttpRequest,
]
const warmUpSeconds = 2

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
let finishing = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => finish(1))
}
main().then(finish, (error: Error) => {
  if (!finishing) console.error(error.message)
  finish(1)
})

async function finish(code: number): Promise<void> {
  if (finishing) return
  finishing = true
  await stopAll()
  rmSync(folder, { recursive: true, force: true })
  process.exit(code)
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (options === null) {
    console.log(usage)
    return 0
  }
  requireTools()
  const startedAt = new Date()
  const machine = describeMachine()
  const wanted = chosen(subjects, options.only)
  const here = wanted.filter((subject) => subject.version() !== null)
  for (const { name } of wanted.filter((subject) => !here.includes(subject))) {
    console.log(`not on this machine: ${name}`)
  }
  const tls = makeCertificate()
  const upstream = await startUpstream(folder)
  const results: ScenarioResult[] = []
  for (const scenario of chosen(scenarios, options.only)) {
    const able = here.filter((subject) => subject.scenarios.includes(scenario.name))
    if (able.length === 0) continue
    const bench = { upstreamPort: upstream.port, tls, threads: options.threads }
    const peak = scenario.name === 'offered-load' ? await nginxPeak(results, bench) : 0
    const result = await measure(scenario, able, options, bench, peak)
    results.push(result)
    console.log(`\n${scenario.title}\n\n${table(result)}`)
  }
  const versions = Object.fromEntries(here.map((subject) => [subject.name, subject.version()!]))
  const { only, rounds, seconds, threads } = options
  const run = { startedAt, machine, versions, options: { only, rounds, seconds, threads }, results }
  const budgets = budgetList(results)
  if (budgets !== '') console.log(`\nBudgets\n\n${budgets}`)
  if (options.out !== null) {
    const path = writeResults(run, budgets, options.out, options.name)
    console.log(`\nwritten to ${path}`)
  }
  return 0
}

type Bench = Pick<Setup, 'upstreamPort' | 'tls' | 'threads'>

/** Starts the subjects, warms each up, then loads them in turn; every second round in reverse. */
async function measure(
  scenario: Scenario,
  able: readonly Subject[],
  { rounds, seconds }: Pick<Options, 'rounds' | 'seconds'>,
  bench: Bench,
  peak: number,
): Promise<ScenarioResult> {
  const started = []
  for (const subject of able) started.push(await startSubject(subject, scenario, bench))
  const measurements: Measurement[] = []
  for (const { running } of started) await scenario.load(running, warmUpSeconds, peak)
  for (let round = 1; round <= rounds; round++) {
    const order = round % 2 === 1 ? started : started.toReversed()
    for (const { name, running } of order) {
      const values = await scenario.load(running, seconds, peak)
      measurements.push({ subject: name, round, values })
    }
  }
  for (const { child } of started) await stop(child)
  return { scenario, measurements: inOrder(measurements, able) }
}

function inOrder(measurements: Measurement[], able: readonly Subject[]): Measurement[] {
  const place = (name: string) => able.findIndex((subject) => subject.name === name)
  return measurements.sort((a, b) => place(a.subject) - place(b.subject) || a.round - b.round)
}

async function startSubject(subject: Subject, scenario: Scenario, bench: Bench) {
  const own = join(folder, `${scenario.name}-${subject.name.replaceAll(/\W/g, '-')}`)
  mkdirSync(own)
  const port = await freePort()
  const setup = { scenario: scenario.name, folder: own, port, ...bench }
  const child = await start(subject.prepare(setup), own, port)
  const url = scenario.name === 'tls' ? `https://localhost:${port}` : `http://127.0.0.1:${port}`
  const running: Running = { url, pid: child.pid!, folder: own, routes: subject.routes ?? 1 }
  return { name: subject.name, child, running }
}

/** nginx's requests per second with small JSON: from this run, or measured now. */
async function nginxPeak(results: readonly ScenarioResult[], bench: Bench): Promise<number> {
  const small = scenarios.find(({ name }) => name === 'small-json')!
  const known = results.find(({ scenario }) => scenario === small)
  const peak = known ? medianOf(known, 'nginx', 'perSecond') : Number.NaN
  if (!Number.isNaN(peak)) return peak
  const result = await measure(small, [nginx], { rounds: 1, seconds: 3 }, bench, 0)
  rmSync(join(folder, 'small-json-nginx'), { recursive: true })
  return medianOf(result, 'nginx', 'perSecond')
}

/** Those that are named, `gatehouse` meaning all that begin with it; all of them if none is. Throws on a name that nothing has. */
function chosen<T extends { name: string }>(
  all: readonly T[],
  only: readonly string[],
): readonly T[] {
  const known = [...subjects, ...scenarios].map(({ name }) => name as string)
  const unknown = only.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new Error(`Nothing is called ${unknown}; there is ${known.join(', ')}`)
  const named = all.filter(({ name }) => only.some((word) => `${name}-`.startsWith(`${word}-`)))
  return named.length > 0 ? named : all
}

/** The tools without which nothing can be measured; other proxies are left out if they are missing. */
function requireTools(): void {
  const missing = ['nginx', 'wrk', 'h2load'].filter((tool) => findTool(tool) === null)
  if (missing.length === 0) return
  const packages = missing.map((tool) => benchTools[tool])
  throw new Error(
    `The benchmark needs ${missing.join(', ')}. As root: apt-get install ${packages.join(' ')}`,
  )
}

function makeCertificate(): Setup['tls'] {
  const certificate = join(folder, 'certificate.pem')
  const key = join(folder, 'key.pem')
  const both = join(folder, 'both.pem')
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '7']
  const paths = ['-out', certificate, '-keyout', key]
  const args = ['req', '-x509', ...kind, ...names, ...paths]
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`openssl could not make a certificate:\n${stderr}`)
  const text = [certificate, key].map((path) => readFileSync(path, 'utf8')).join('')
  writeFileSync(both, text)
  return { certificate, key, both }
}
