// What a client sees when a thread dies while others work and connections wait in its queue.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
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

const THREADS = 3
/** The kernel deals them out by chance: that none meets the broken thread has odds of 1 in 10^7. */
const CROWD = 40

/** Breaks one thread; the others serve on, what waits in its queue is served by its successor. */
async function crash(t: TestContext, gateway: RunningGateway, fault: Fault): Promise<void> {
  const pid = await onlyProcess(gateway)
  const clients = await clientPerThread(gateway, THREADS)
  const [victim, ...others] = [...clients.values()]
  const [broken] = clients.keys()
  const load = new Load(others.length, () => Promise.all(others.map((client) => client.ask())))
  const from = gateway.output.length
  const lost = assert.rejects(victim!.ask(`/${fault}`), /socket hang up|ECONNRESET/)
  await gateway.said(new RegExp(`thread ${broken} begins ${fault}`), from)
  const waiting = crowd(gateway, CROWD)
  await gateway.said(/thread \d ended and is replaced: .*/, from)
  const endedAt = performance.now()
  await lost
  await load.more(20)
  const answers = await waiting
  t.diagnostic(`${fault}: all queued served ${(performance.now() - endedAt).toFixed(0)} ms after`)
  const successors = answers.filter(({ thread }) => !clients.has(thread))
  assert.ok(successors.length > 0, 'some had to wait for the successor')
  assert.ok(answers.every((answer) => answer.pid === pid && answer.thread !== broken))
  assert.deepEqual(await load.stop(), [])
  for (const client of clients.values()) client.close()
}

test('one thread that throws or runs out of heap costs nobody else anything', (t) =>
  withFaultyGateway(THREADS, async (gateway) => {
    await crash(t, gateway, 'throw')
    assert.match(gateway.output, /thread \d ended and is replaced: Error: thrown on purpose/)
    await crash(t, gateway, 'heap')
    // A machine that is too busy to fill a heap within five seconds ends it for its silence.
    assert.match(gateway.output, /thread \d ended and is replaced: .*(memory limit|did not answer)/)
    const metrics = await fetchText(gateway.adminPort, '/metrics')
    assert.match(metrics, /^gatehouse_threads_replaced_total 2$/m)
    assert.match(metrics, /^gatehouse_threads\{state="serving"\} 3$/m)
  }))

test('a policy that takes its time is named while everything goes on', () =>
  withFaultyGateway(1, async (gateway) => {
    const { thread } = await ask(gateway.port, '/slow')
    await gateway.said(
      /thread 0 was held for at least \d\.\d s by policy "faulty" \(route "all", onRequest\)\n/,
    )
    assert.equal((await ask(gateway.port)).thread, thread)
    const metrics = await fetchText(gateway.adminPort, '/metrics')
    assert.match(metrics, /^gatehouse_policy_loop_holds_total\{policy="faulty"\} 1$/m)
  }))
