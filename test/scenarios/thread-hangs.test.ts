// What a client sees when the event loop of a thread stands still for good.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchText, Load } from '../../src/control/process/running-gateway.test-support.ts'
import {
  clientPerThread,
  crowd,
  onlyProcess,
  withFaultyGateway,
} from '../support/faulty-gateway.ts'

/** The kernel deals them out by chance: that none meets a given thread has odds of 1 in 10^7. */
const CROWD = 40
/** Five seconds of silence, and a busy machine. */
const PATIENCE_MS = 45_000

test('threads in an endless loop and in an endless regular expression are replaced', (t) =>
  withFaultyGateway(3, async (gateway) => {
    const pid = await onlyProcess(gateway)
    const clients = await clientPerThread(gateway, 3)
    const [looping, matching, healthy] = [...clients.values()]
    const lost = [
      assert.rejects(looping!.ask('/loop'), /socket hang up|ECONNRESET/),
      assert.rejects(matching!.ask('/regex'), /socket hang up|ECONNRESET/),
    ]
    await gateway.said(/thread \d+ begins loop/)
    await gateway.said(/thread \d+ begins regex/)
    const beganAt = performance.now()
    const waiting = crowd(gateway, CROWD)
    const load = new Load(1, () => healthy!.ask())
    const accused =
      'did not answer for \\d+\\.\\d s, in policy "faulty" \\(route "all", onRequest\\)'
    for (const end of [/; it was busy in backtrack \(.*faulty\.ts:\d+\)\n/, /\n|; it was busy/]) {
      const said = new RegExp(`thread \\d ended and is replaced: it ${accused}(${end.source})`)
      await gateway.said(said, 0, PATIENCE_MS)
    }
    await Promise.all(lost)
    const answers = await waiting
    t.diagnostic(`all queued served ${(performance.now() - beganAt).toFixed(0)} ms after`)
    const threads = new Set(answers.map(({ thread }) => thread))
    assert.ok(answers.every((answer) => answer.pid === pid))
    const [loopingThread, matchingThread, healthyThread] = [...clients.keys()]
    assert.ok(!threads.has(loopingThread!) && !threads.has(matchingThread!))
    assert.deepEqual([threads.size, threads.has(healthyThread!)], [3, true])
    await load.more(20)
    assert.deepEqual(await load.stop(), [])
    const metrics = await fetchText(gateway.adminPort, '/metrics')
    assert.match(metrics, /^gatehouse_policy_loop_holds_total\{policy="faulty"\} 2$/m)
    for (const client of clients.values()) client.close()
  }))
