// `npm run soak [-- minutes]`: mixed traffic with accidents and reloads, for an hour unless told
// otherwise. Memory must not grow: the median of resident memory in the last tenth is at most 1.05
// times that of the second, each sample after a forced collection, and when the traffic has ended no
// socket is left but idle ones to the service, and no timer but theirs.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { median } from '../load/report.ts'
import type { Order, Sample } from './gateway.ts'
import { startUpstream, Traffic } from './traffic.ts'

const GROWTH_MAX = 1.05
const LANES = 32
/** Requests before the first sample. */
const WARM_UP = 100_000
const SAMPLES = 100

const minutes = Number(process.argv[2] ?? 60)
if (!(minutes > 0)) throw new Error('npm run soak -- MINUTES')

const upstream = await startUpstream()
const child = fork(
  join(import.meta.dirname, 'gateway.ts'),
  [String((upstream.address() as AddressInfo).port)],
  { execArgv: ['--expose-gc'] },
)
let isEnding = false
child.once('exit', () => {
  if (!isEnding) throw new Error('the gateway of the soak ended; its output above says why')
})
const [{ port }] = (await once(child, 'message')) as [{ port: number }]

function tell(order: Order['order']): void {
  child.send({ order } satisfies Order)
}

async function sample(): Promise<Sample> {
  tell('sample')
  const [taken] = (await once(child, 'message')) as [Sample]
  return taken
}

const traffic = new Traffic(port, LANES)
// Until the compiler has settled and every pool has been used, memory grows as it should.
while (traffic.done < WARM_UP) await new Promise((resolve) => setTimeout(resolve, 100))
const samples: Sample[] = []
for (let turn = 0; turn < SAMPLES; turn++) {
  await new Promise((resolve) => setTimeout(resolve, (minutes * 60_000) / SAMPLES))
  tell('reload')
  samples.push(await sample())
}
await traffic.stop()
// Connections that were cut off linger for a second; requests that were left run into their timeouts.
await new Promise((resolve) => setTimeout(resolve, 5_000))
const rest = await sample()
isEnding = true
tell('end')
await once(child, 'exit')
upstream.closeAllConnections()
upstream.close()

const tenth = SAMPLES / 10
const early = median(samples.slice(tenth, 2 * tenth).map(({ rssBytes }) => rssBytes))
const late = median(samples.slice(-tenth).map(({ rssBytes }) => rssBytes))
const heapGrowth = samples.at(-1)!.heapBytes / samples[tenth]!.heapBytes
console.log(`${traffic.done} requests and accidents in ${minutes} min, ${SAMPLES} reloads`)
console.log(`resident memory: ${mb(early)} MB in the second tenth, ${mb(late)} MB in the last`)
console.log(
  `growth: ${(late / early).toFixed(3)} (at most ${GROWTH_MAX}); heap ${heapGrowth.toFixed(3)}`,
)
console.log(
  `left: ${rest.sockets} idle sockets, ${rest.timers} timers, ${rest.exchanges} exchanges`,
)
if (late / early > GROWTH_MAX) fail('resident memory grew')
if (rest.timers !== rest.sockets || rest.exchanges > 0) fail('something was left behind')

function mb(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1)
}

function fail(reason: string): void {
  console.error(`FAILED: ${reason}`)
  process.exitCode = 1
}
