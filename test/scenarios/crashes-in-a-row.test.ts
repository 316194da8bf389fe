// What a client sees when threads, or whole gateway processes, die one after the other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Connection,
  fetchText,
  Load,
  stop,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
import { ask, crowd, onlyProcess, withFaultyGateway } from '../support/faulty-gateway.ts'

const CROWD = 40

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
