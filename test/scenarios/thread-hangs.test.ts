// What a client sees when the event loop of a thread stands still: in JavaScript, which can be ended, and
// in native code, which ends with the whole process only.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { BlockingPipe } from '../../src/control/process/blocking-pipe.test-support.ts'
import {
  fetchText,
  Load,
  type RunningGateway,
} from '../../src/control/process/running-gateway.test-support.ts'
import {
  ask,
  clientPerThread,
  crowd,
  type Fault,
  onlyProcess,
  withFaultyGateway,
} from '../support/faulty-gateway.ts'

const THREADS = 2
/** The kernel deals them out by chance: that none meets the broken thread has odds of 1 in 10^9. */
const CROWD = 30
/** Five seconds of silence, two more of native code, and a busy machine. */
const PATIENCE = { timeout: 60_000 }
const ACCUSED =
  'it did not answer for \\d+\\.\\d s, in policy "faulty" \\(route "all", onRequest\\)'

/** Has one thread stand still; resolves with its number and what then waits in the queues. */
async function hang(gateway: RunningGateway, fault: Fault) {
  const clients = await clientPerThread(gateway, THREADS)
  const [[broken, victim], [, other]] = [...clients] as [
    [number, typeof clients extends Map<number, infer C> ? C : never],
    [number, typeof clients extends Map<number, infer C> ? C : never],
  ]
  const lost = assert.rejects(victim.ask(`/${fault}`), /socket hang up|ECONNRESET/)
  await gateway.said(new RegExp(`thread ${broken} begins ${fault}`))
  const beganAt = performance.now()
  return { clients, broken, other, lost, beganAt, waiting: crowd(gateway, CROWD) }
}

async function endless(t: TestContext, fault: Fault, place: RegExp): Promise<void> {
  await withFaultyGateway(THREADS, async (gateway) => {
    const pid = await onlyProcess(gateway)
    const { clients, broken, other, lost, beganAt, waiting } = await hang(gateway, fault)
    const load = new Load(1, () => other.ask())
    await gateway.said(new RegExp(`thread \\d ended and is replaced: ${ACCUSED}${place.source}`))
    await lost
    const answers = await waiting
    t.diagnostic(`${fault}: all queued served ${(performance.now() - beganAt).toFixed(0)} ms after`)
    assert.ok(answers.every((answer) => answer.pid === pid && answer.thread !== broken))
    assert.ok(answers.some(({ thread }) => !clients.has(thread)))
    await load.more(20)
    assert.deepEqual(await load.stop(), [])
    const metrics = await fetchText(gateway.adminPort, '/metrics')
    assert.match(metrics, /^gatehouse_policy_loop_holds_total\{policy="faulty"\} 1$/m)
    for (const client of clients.values()) client.close()
  })
}

describe('a thread that stands still', { concurrency: true }, () => {
  test('in an endless loop is replaced', PATIENCE, (t) => endless(t, 'loop', /\n|;/))

  test('in an endless regular expression is replaced, and its line is named', PATIENCE, (t) =>
    endless(t, 'regex', /; it was busy in backtrack \(.*faulty\.ts:\d+\)\n/),
  )

  test('in native code that never returns is replaced with its process', PATIENCE, async (t) => {
    const pipe = new BlockingPipe()
    try {
      await withFaultyGateway(
        THREADS,
        async (gateway) => {
          const pid = await onlyProcess(gateway)
          const { clients, lost, beganAt, waiting } = await hang(gateway, 'native')
          for (const client of clients.values()) client.close()
          // New connections, of which half meet the thread that hangs: they wait, and are served.
          const load = new Load(4, () => ask(gateway.port))
          await gateway.said(new RegExp(`thread \\d does not end: ${ACCUSED}\n`))
          await gateway.said(/replacing the gateway process: thread \d does not end\n/)
          const answers = await waiting
          const tookMs = (performance.now() - beganAt).toFixed(0)
          t.diagnostic(`native: all queued served ${tookMs} ms after`)
          assert.ok(answers.some((answer) => answer.pid !== pid))
          await lost
          assert.notEqual(await onlyProcess(gateway), pid)
          assert.deepEqual(await load.stop(), [])
        },
        pipe.path,
      )
    } finally {
      pipe.remove()
    }
  })
})
