import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { policyProblems } from '../../src/policies/policy-contract.ts'
import { TestGateway } from '../../test/support/gateway.ts'
import { type Echo, RecordingUpstream } from '../../test/support/recording-upstream.ts'
import stamp from './stamp.ts'

test('the example holds to the contract of policies', () => {
  assert.deepEqual(policyProblems(stamp), [])
})

test('the guide shows the example as it is', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const source = read('./stamp.ts')
  const shown = source.slice(source.indexOf('export default'))
  assert.ok(read('../../docs/guide/write-a-policy.md').includes(shown))
})

describe('the example in a gateway', () => {
  let upstream: RecordingUpstream
  let gateway: TestGateway

  before(async () => {
    upstream = await RecordingUpstream.startHttp()
    gateway = await TestGateway.start({
      plugins: [fileURLToPath(new URL('./stamp.ts', import.meta.url))],
      use: [{ stamp: { label: 'edge-1', once: true } }],
      routes: [{ path: '/*', to: upstream.url }],
    })
  })

  after(async () => {
    await gateway.close()
    await upstream.close()
  })

  test('stamps the request and the response', async () => {
    const client = await gateway.connect()
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const response = await client.response()
    assert.equal(response.status, 200)
    assert.match(response.header('x-stamp')!, /^edge-1 [0-9]+\.[0-9]ms$/)
    const { fields } = response.json as Echo
    const stamped = fields[fields.indexOf('x-stamp') + 1]!
    assert.match(stamped, /^edge-1 [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$/)
  })

  test('refuses what is stamped already', async () => {
    const client = await gateway.connect()
    client.send('GET / HTTP/1.1\r\nHost: a\r\nX-Stamp: forged\r\n\r\n')
    const response = await client.response()
    assert.equal(response.status, 508)
    assert.equal(response.problem.code, 'loop_detected')
    assert.equal(response.header('x-stamp'), null)
  })
})
