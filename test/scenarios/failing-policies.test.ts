// A policy that fails where nothing can be answered any more costs its connection, and all that was
// waiting on it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { createGateway, definePolicy } from '../../src/index.ts'
import { nextTurn } from '../support/changes.ts'
import { GET, ORDER } from '../support/faults.ts'
import { RawClient } from '../support/raw-client.ts'

test('in the body of an answer: a pipelined request is not run for a client that is cut off', async (t) => {
  const seen: string[] = []
  const fails = definePolicy({
    name: 'fails',
    summary: 'Fails in the body of answers.',
    settings: z.strictObject({}),
    examples: [{}],
    body: { response: 'observe' },
    create: () => ({
      onRequest(exchange) {
        seen.push(exchange.method)
      },
      onFinish() {
        seen.push('finished')
      },
      onResponseBody() {
        seen.push('body')
        throw new Error('as it was told')
      },
    }),
  })
  const settings = {
    listen: 'http://127.0.0.1:0',
    admin: false,
    use: [{ fails: {} }],
    routes: [{ path: '/*', respond: { status: 200, body: 'text' } }],
  }
  const gateway = await createGateway(settings as never, { policies: [fails] })
  t.after(() => gateway.close())
  await gateway.start()
  const client = await RawClient.connect(gateway.addresses[0]!.port)
  t.after(() => client.destroy())
  client.send(GET + ORDER)
  assert.equal(await client.closed(), 'reset')
  for (let turn = 0; turn < 5; turn++) await nextTurn()
  assert.deepEqual(seen, ['GET', 'body', 'finished'])
})
