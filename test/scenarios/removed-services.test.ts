// A service that a reload removes, or gives another name, while exchanges still need it: they go on as
// they began, and no connection outlives them.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { HOST } from '../support/faults.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { answersOk, RecordingUpstream, type Script } from '../support/recording-upstream.ts'

const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`
const BUSY = 'HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n'

/** Starts a gateway in front of services that do as their scripts say. */
async function start(t: TestContext, scripts: readonly Script[], more: Settings = {}) {
  const upstreams: RecordingUpstream[] = []
  for (const script of scripts) upstreams.push(await RecordingUpstream.start(script))
  const urls = upstreams.map(({ url }) => url)
  const gateway = await TestGateway.to({ endpoints: urls }, more)
  t.after(async () => {
    await gateway.close()
    for (const upstream of upstreams) await upstream.close()
  })
  /** The same endpoints under another name. */
  const rename = () =>
    gateway.apply({
      services: { other: { endpoints: urls } },
      routes: [{ path: '/*', to: 'other' }],
    })
  return { gateway, upstreams, rename, client: await gateway.connect() }
}

test('a request that a policy still looks at goes to the service that it was meant for', async (t) => {
  let decide: ServerResponse | null = null
  const authority = await RecordingUpstream.startHttp((_, response) => {
    decide = response
  })
  t.after(() => authority.close())
  const use = [{ 'forward-auth': { url: authority.url } }]
  const { gateway, upstreams, rename, client } = await start(t, [answersOk], { use })
  const answer = client.exchange(GET)
  await eventually(
    () => decide !== null,
    () => 'the policy to ask',
  )
  await rename()
  decide!.end()
  assert.equal((await answer).text, 'ok')
  await upstreams[0]!.idle()
  await gateway.settled()
})

test('so does a retry', async (t) => {
  let requests = 0
  const script: Script = async (connection) => {
    while ((await connection.nextRequest()) !== null) {
      if (++requests === 1) await connection.send(BUSY)
      else await connection.answer('well')
    }
  }
  const { gateway, upstreams, rename, client } = await start(t, [script, script])
  const answer = client.exchange(GET)
  await eventually(
    () => gateway.metric('gatehouse_upstream_retries_total') === 1,
    () => 'the retry to be due',
  )
  await rename()
  assert.equal((await answer).text, 'well')
  for (const upstream of upstreams) await upstream.idle()
})
