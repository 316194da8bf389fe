// `npm run faults`: what clients notice while one of three instances of a service fails, with each balancer
// and each fault, and what happens when all fail. Prints tables, writes them to bench/results, and fails
// when a bound is missed. `-- --only p2c,stalls,all` looks at a few, and writes nothing.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { describeMachine } from '../load/machine.ts'
import { freePort, start, stopAll } from '../load/processes.ts'
import { faultsOfOutage, measureOutage, type Outage } from './all-of-three.ts'
import { faultsOf, type Measured, measure } from './one-of-three.ts'
import { OpenLoad } from './open-load.ts'
import { allTable, oneTable, page, pauseText, shortTable } from './page.ts'
import { BALANCERS, configurationOf, FAULTS, type Served, serve } from './services.ts'

/** Balancers that are measured at the same time: all of them, of as many faults. */
const FAULTS_AT_ONCE = 2
const WARM_UP_MS = 1500

const root = join(import.meta.dirname, '../..')
const { only } = parseArgs({ options: { only: { type: 'string' } } }).values
const names = only?.split(',') ?? []
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-faults-'))
const startedAt = new Date()
const machine = describeMachine()
const served: Served[] = []
/** This process is the clients and the instances: when it pauses, it is not the gateway that is late. */
const pauses = monitorEventLoopDelay({ resolution: 1 })

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => finish(1))
}
main().then(finish, (error: Error) => {
  console.error(error)
  return finish(1)
})

async function finish(code: number): Promise<never> {
  await stopAll()
  rmSync(folder, { recursive: true, force: true })
  process.exit(code)
}

/** Whether something is to be looked at; of a kind that nothing is named of, all is. */
function isWanted(name: string, kind: readonly { readonly name: string }[]): boolean {
  return names.includes(name) || !kind.some((other) => names.includes(other.name))
}

async function main(): Promise<number> {
  const port = await freePort()
  const ones: (() => Promise<Measured>)[][] = []
  const faults = FAULTS.filter(({ name }) => isWanted(name, FAULTS))
  const balancers = BALANCERS.filter(({ name }) => isWanted(name, BALANCERS))
  for (const [index, fault] of faults.entries()) {
    const batch: (() => Promise<Measured>)[] = []
    for (const balancer of balancers) {
      const one = await serve(`${balancer.name}-${index}`, balancer.settings, fault.okMs)
      served.push(one)
      batch.push(() => measure(port, one, balancer, fault))
    }
    ones.push(batch)
  }
  const outages: (() => Promise<Outage>)[] = []
  for (const [index, fault] of faults.entries()) {
    if (fault.isQuiet || (only !== undefined && !names.includes('all'))) continue
    for (const breaker of [undefined, {}]) {
      const name = `all-${index}-${breaker === undefined ? 'plain' : 'breaker'}`
      const all = await serve(name, breaker === undefined ? {} : { breaker }, fault.okMs)
      served.push(all)
      outages.push(() => measureOutage(port, all, fault, breaker !== undefined))
    }
  }
  served.push(await serve('warm-up', {}, 1))
  const file = join(folder, 'gatehouse.json')
  writeFileSync(file, JSON.stringify(configurationOf(port, served)))
  const args = [join(root, 'src/main.ts'), 'run', file]
  await start({ program: process.execPath, args }, folder, port)
  await warmUp(port)
  pauses.enable()
  return report(await inBatches(ones), await Promise.all(outages.map((run) => run())))
}

/** Until the compiler has settled, a load that does not wait for answers would pile up. */
async function warmUp(port: number): Promise<void> {
  for (const perSecond of [50, 200, 800]) {
    const load = new OpenLoad(port, '/warm-up', perSecond, { headers: () => ({}) })
    await sleep(WARM_UP_MS)
    await load.stop()
  }
}

async function inBatches(batches: (() => Promise<Measured>)[][]): Promise<Measured[]> {
  const all: Measured[] = []
  for (let index = 0; index < batches.length; index += FAULTS_AT_ONCE) {
    const together = batches.slice(index, index + FAULTS_AT_ONCE).flat()
    const measured = await Promise.all(together.map((run) => run()))
    console.log(`${oneTable(measured)}\n`)
    all.push(...measured)
  }
  return all
}

function report(ones: readonly Measured[], outages: readonly Outage[]): number {
  const pauseMs = { p99: pauses.percentile(99) / 1e6, max: pauses.max / 1e6 }
  console.log(`${allTable(outages)}\n\n${shortTable(ones)}\n\n${pauseText(pauseMs)}`)
  const missed = [...ones.flatMap(faultsOf), ...outages.flatMap(faultsOfOutage)]
  for (const text of missed) console.error(`MISSED: ${text}`)
  if (only === undefined) write(page({ startedAt, machine, pauseMs, ones, outages, missed }))
  return missed.length === 0 ? 0 : 1
}

function write(text: string): void {
  const out = join(root, 'bench/results')
  const name = join(out, `${startedAt.toISOString().slice(0, 10)}-faults.md`)
  mkdirSync(out, { recursive: true })
  writeFileSync(name, text)
  console.log(`written to ${name}`)
}
