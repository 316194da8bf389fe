// `npm run reloads [-- COUNT [yaml|ts]]`: so many reloads (10,000), one right after the other, of
// `gatehouse run` under 200 requests a second with 1,000 open WebSockets on a route that stays as it is.
// No request fails, no WebSocket ends, and memory does not grow: the median in the last tenth is at most
// 1.05 times that of the second tenth, each sample after a forced collection. Then their route changes,
// and they end spread over the time that the configuration says.
import { setTimeout as sleep } from 'node:timers/promises'
import { describeMachine } from '../load/machine.ts'
import { median } from '../load/report.ts'
import { configuration, moduleText, SPREAD_S } from './configurations.ts'
import { type Outcome, problemsOf, writeReport } from './report.ts'
import { type Sample, Subject, type Way } from './subject.ts'
import { OpenLoop, portOf, startService, WebSockets } from './traffic.ts'

const SOCKETS = 1_000
const SAMPLES = 100
/** Until the compiler has settled and pools have been used, memory grows as it should. */
const WARM_UP = { yaml: 500, ts: 50 }
/** As many connections as a busy machine has at the worst of times. */
const BURST = 500
/** Longer than a gateway keeps anything that it does not use: workers, connections of clients. */
const REST_MS = 12_000

type Kind = Outcome['kind']

const [given = '10000', only] = process.argv.slice(2)
const count = Number(given)
if (!(count >= SAMPLES) || ![undefined, 'yaml', 'ts'].includes(only)) {
  throw new Error(`npm run reloads -- COUNT [yaml|ts], with ${SAMPLES} or more`)
}
const machine = describeMachine()
const service = await startService()
const outcomes: Outcome[] = []
for (const kind of ['yaml', 'ts'] as const) {
  if (only === undefined || only === kind) outcomes.push(await measure(kind))
}
service.closeAllConnections()
service.close()
writeReport(machine, outcomes)
if (outcomes.some((outcome) => problemsOf(outcome).length > 0)) process.exitCode = 1

async function measure(kind: Kind): Promise<Outcome> {
  const text = (turn: number, hasOtherSockets = false): string => {
    const settings = configuration(portOf(service), turn, hasOtherSockets)
    return kind === 'ts' ? moduleText(settings, turn) : JSON.stringify(settings, null, 1)
  }
  const subject = new Subject(kind === 'ts' ? 'gatehouse.config.ts' : 'gatehouse.yaml', text(0))
  try {
    await subject.ready()
    return await run(subject, kind, text)
  } finally {
    await subject.stop()
  }
}

async function run(
  subject: Subject,
  kind: Kind,
  text: (turn: number, hasOtherSockets?: boolean) => string,
): Promise<Outcome> {
  const { pid, port } = subject
  const sockets = await WebSockets.open(port, SOCKETS)
  let turn = 0
  const reload = (way: Way) => subject.reload(text(++turn), way)
  const warmUp = new OpenLoop(port)
  for (let index = 0; index < WARM_UP[kind]; index++) await reload('signal')
  warmUp.burst(BURST)
  await sockets.useAll()
  await warmUp.stop()
  await sleep(REST_MS)
  const before = await subject.sample()

  const load = new OpenLoop(port)
  const samples: Sample[] = []
  const durationsMs: number[] = []
  const began = performance.now()
  for (let index = 0; index < count; index++) {
    durationsMs.push(await reload(wayOf(kind, index)))
    if (index % 10 === 0) await sockets.use(10)
    if (samples.length < Math.floor(((index + 1) * SAMPLES) / count)) {
      samples.push(await subject.sample())
      if (samples.length % 10 === 0) progress(kind, index + 1, samples)
    }
  }
  const tookMs = performance.now() - began
  await sockets.useAll()
  await load.stop()
  const { closed } = sockets
  await sleep(REST_MS)
  const after = await subject.sample()
  const isSame = subject.pid === pid

  await subject.reload(text(turn, true), 'signal')
  const spread = await ends(sockets)
  sockets.destroy()
  const tenth = SAMPLES / 10
  const early = samples.slice(tenth, 2 * tenth)
  const late = samples.slice(-tenth)
  const middle = (some: readonly Sample[], key: 'rssBytes' | 'heapBytes') =>
    median(some.map((one) => one[key]))
  return {
    kind,
    count,
    tookMs,
    durationsMs,
    requests: load.done + warmUp.done,
    requestMs: load.durationsMs,
    failures: [...warmUp.failures, ...load.failures],
    isSameProcess: isSame,
    sockets: SOCKETS,
    closed,
    lost: sockets.lost,
    messages: sockets.messages,
    memory: { early: middle(early, 'rssBytes'), late: middle(late, 'rssBytes') },
    heaps: { early: middle(early, 'heapBytes'), late: middle(late, 'heapBytes') },
    before,
    after,
    spread,
    said: [...new Set(subject.said.filter((line) => line.includes('refused')))],
  }
}

/** Waits until all WebSockets have ended; how many did in each tenth of the time. */
async function ends(sockets: WebSockets): Promise<number[]> {
  const changedAt = performance.now()
  while (sockets.closed < SOCKETS && performance.now() < changedAt + (SPREAD_S + 10) * 1000) {
    await sleep(100)
  }
  const spread: number[] = Array.from({ length: 10 }, () => 0)
  for (const at of sockets.closedAt()) {
    const tenth = Math.floor((at - changedAt) / (SPREAD_S * 100))
    spread[Math.min(9, Math.max(0, tenth))]!++
  }
  return spread
}

/** One of ten comes the other way: a change of a file is believed once it is a while old. */
function wayOf(kind: Kind, index: number): Way {
  const isTenth = index % 10 === 9
  return (kind === 'yaml') === isTenth ? 'file' : 'signal'
}

function progress(kind: Kind, done: number, samples: readonly Sample[]): void {
  const mb = (samples.at(-1)!.rssBytes / 1_048_576).toFixed(1)
  console.log(`${kind}: ${done} of ${count} reloads, ${mb} MB`)
}
