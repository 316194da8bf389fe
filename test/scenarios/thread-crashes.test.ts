// What a client sees when a thread, or the whole gateway process, dies while others work and connections
// wait in its queue.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  Connection,
  fetchText,
  Load,
  type RunningGateway,
  stop,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
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

test('threads that crash with every request wait longer each time, and the gateway can still be asked', () =>
  withFaultyGateway(2, async (gateway) => {
    const pid = await onlyProcess(gateway)
    const breaking = new Load(2, () => ask(gateway.port, '/throw').catch(() => {}))
    await eventually(
      async () => {
        const metrics = await fetchText(gateway.adminPort, '/metrics')
        return /^gatehouse_threads_replaced_total ([4-9]|\d\d)$/m.test(metrics)
      },
      () => 'four crashes',
    )
    await breaking.stop()
    assert.equal(await fetchText(gateway.adminPort, '/healthz'), '200 ok\n')
    assert.equal((await ask(gateway.port)).pid, pid)
  }))

test('kill -9 of the gateway process, again and again, costs no connection that it had not accepted', (t) =>
  withFaultyGateway(2, async (gateway) => {
    for (let round = 0; round < 2; round++) {
      const pid = await onlyProcess(gateway)
      await stop(pid)
      const waiting = crowd(gateway, CROWD)
      // All of them are in the queues once this one, which came last, is.
      const last = new Connection(gateway.port)
      await last.connected()
      last.close()
      process.kill(pid, 'SIGKILL')
      const killedAt = performance.now()
      const answers = await waiting
      t.diagnostic(
        `kill -9: all queued served ${(performance.now() - killedAt).toFixed(0)} ms after`,
      )
      assert.ok(answers.every((answer) => answer.pid !== pid))
      assert.equal(new Set(answers.map((answer) => answer.pid)).size, 1)
    }
  }))
