// One gateway process after the other, under clients that never stop.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  childrenOf,
  Load,
  RunningGateway,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'
import { PooledClient } from '../support/pooled-client.ts'

/** Each costs seconds of processor time; TAKEOVERS=10 asks for more. */
const ROUNDS = Number(process.env.TAKEOVERS ?? 3)

const CONFIGURATION = `
listen: http://127.0.0.1:0
routes: [{ path: /*, respond: { body: here } }]
`

test('takeovers under clients that keep their connections lose no request', async () => {
  const gateway = await RunningGateway.start({
    configuration: CONFIGURATION,
    threads: 1,
    isReal: true,
  })
  const client = new PooledClient(gateway.port, 6)
  const load = new Load(6, async () => {
    assert.equal(await client.get('/'), '200 here')
    // Without a pause the clients would leave no processor to the gateways that start.
    await new Promise((resolve) => setTimeout(resolve, 2))
  })
  let errors: unknown[] = []
  try {
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const from = gateway.output.length
        gateway.signal('SIGUSR2')
        await gateway.replaced(from)
      }
      await load.more(100)
    } finally {
      errors = await load.stop()
      client.close()
    }
    assert.deepEqual(errors, [])
    assert.ok(client.reused > 100)
    await eventually(
      () => childrenOf(gateway.pid).length === 1,
      () => 'the predecessors to end',
    )
  } finally {
    await gateway.stop()
  }
})
