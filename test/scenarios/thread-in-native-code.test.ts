// What a client sees when a thread sits in native code, which ends with the whole process only.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockingPipe } from '../../src/control/process/blocking-pipe.test-support.ts'
import { Load } from '../../src/control/process/running-gateway.test-support.ts'
import {
  ask,
  clientPerThread,
  crowd,
  onlyProcess,
  withFaultyGateway,
} from '../support/faulty-gateway.ts'

/** The kernel deals them out by chance: that none meets the thread has odds of 1 in 10^9. */
const CROWD = 30
/** Five seconds of silence, three of trying to end it, and a busy machine. */
const PATIENCE_MS = 45_000

test('a thread in native code that never returns is replaced with its process, and nothing else is lost', async (t) => {
  const pipe = new BlockingPipe()
  t.after(() => pipe.remove())
  await withFaultyGateway(
    2,
    async (gateway) => {
      const pid = await onlyProcess(gateway)
      const clients = await clientPerThread(gateway, 2)
      const [victim] = clients.values()
      const lost = assert.rejects(victim!.ask('/native'), /socket hang up|ECONNRESET/)
      await gateway.said(/thread \d+ begins native/)
      const beganAt = performance.now()
      const waiting = crowd(gateway, CROWD)
      // Of their connections, half meet the thread that hangs: they wait, and are served.
      const load = new Load(4, () => ask(gateway.port))
      const accused =
        /thread \d does not end: it did not answer for \d+\.\d s, in policy "faulty" \(route "all", onRequest\)\n/
      await gateway.said(accused, 0, PATIENCE_MS)
      await gateway.said(/replacing the gateway process: thread \d does not end\n/)
      const answers = await waiting
      t.diagnostic(`all queued served ${(performance.now() - beganAt).toFixed(0)} ms after`)
      assert.ok(answers.some((answer) => answer.pid !== pid))
      await lost
      for (const client of clients.values()) client.close()
      assert.notEqual(await onlyProcess(gateway), pid)
      assert.deepEqual(await load.stop(), [])
    },
    pipe.path,
  )
})
