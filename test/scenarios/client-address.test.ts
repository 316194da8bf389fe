// The client's real address, as policies and the service see it: only proxies that are trusted have a
// say in it, and only in the header that they write.
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { z } from 'zod'
import { createGateway } from '../../src/gateway/gateway.ts'
import { definePolicy } from '../../src/index.ts'
import type { Settings } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { type Echo, RecordingUpstream } from '../support/recording-upstream.ts'

/** Tells whom policies take for the client. */
const tellsClient = definePolicy({
  name: 'tells-client',
  summary: 'Tells the address of the client.',
  settings: z.strictObject({}),
  examples: [{}],
  create: () => ({
    onResponse(exchange) {
      exchange.setResponseHeader('Client', exchange.clientIp)
    },
  }),
})

let upstream: RecordingUpstream
before(async () => {
  upstream = await RecordingUpstream.startHttp()
})
after(() => upstream.close())

interface Seen {
  readonly client: string
  /** What the service is told, by lower-case name. */
  readonly told: Readonly<Record<string, string>>
}

/** What becomes of a request with these lines, sent from 127.0.0.1. */
async function send(t: TestContext, listen: Settings, ...lines: string[]): Promise<Seen> {
  const gateway = await createGateway(
    {
      listen: { url: 'http://127.0.0.1:0', ...listen },
      forwarded: { forwarded: true },
      use: ['tells-client'],
      routes: [{ to: upstream.url }],
    } as never,
    { policies: [tellsClient] },
  )
  await gateway.start()
  t.after(() => gateway.close())
  const caller = await RawClient.connect(gateway.addresses[0]!.port)
  const head = ['GET / HTTP/1.1', 'Host: shop.example', ...lines].join('\r\n')
  const answer = await caller.exchange(`${head}\r\n\r\n`)
  await caller.destroy()
  const { fields } = answer.json as Echo
  const told: Record<string, string> = {}
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    assert.ok(!(name in told), `${name} once`)
    told[name] = fields[i + 1]!
  }
  return { client: answer.header('client')!, told }
}

const OWN = 'for=127.0.0.1;proto=http;host="shop.example"'
const SPOOFED = [
  'X-Forwarded-For: 6.6.6.6',
  'x_forwarded_for: 6.6.6.6',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: evil.example',
  'Forwarded: for=6.6.6.6;proto=https;host=evil.example',
  'X-Real-IP: 6.6.6.6',
]

for (const [name, listen] of [
  ['nobody is trusted', {}],
  ['others are trusted', { trustedProxies: ['10.0.0.0/8', '::1'] }],
  [
    'others are trusted, who write Forwarded',
    { trustedProxies: ['10.0.0.0/8'], trustedHeader: 'forwarded' },
  ],
] as const) {
  test(`${name}: a client is its own address, whatever it says`, async (t) => {
    const { client, told } = await send(t, listen, ...SPOOFED)
    assert.equal(client, '127.0.0.1')
    assert.equal(told['x-forwarded-for'], '127.0.0.1')
    assert.equal(told['x-forwarded-proto'], 'http')
    assert.equal(told['x-forwarded-host'], 'shop.example')
    assert.equal(told.forwarded, OWN)
    assert.doesNotMatch(JSON.stringify(told), /6\.6\.6\.6|evil/)
  })
}

for (const [name, trustedProxies] of [
  ['a network', ['127.0.0.0/8']],
  ['a count', 1],
] as const) {
  test(`a proxy trusted by ${name} says who calls, in X-Forwarded-For`, async (t) => {
    const { client, told } = await send(
      t,
      { trustedProxies },
      'X-Forwarded-For: 6.6.6.6, 203.0.113.7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: www.example',
    )
    assert.equal(client, '203.0.113.7')
    assert.equal(told['x-forwarded-for'], '6.6.6.6, 203.0.113.7, 127.0.0.1')
    assert.equal(told['x-forwarded-proto'], 'https')
    assert.equal(told['x-forwarded-host'], 'www.example')
    assert.equal(told.forwarded, `for=203.0.113.7, ${OWN}`)
  })
}

test('a proxy that writes Forwarded', async (t) => {
  const { client, told } = await send(
    t,
    { trustedProxies: ['127.0.0.1'], trustedHeader: 'forwarded' },
    'Forwarded: for=6.6.6.6',
    'Forwarded: for="[2001:db8::7]:4711";proto=https',
  )
  assert.equal(client, '2001:db8::7')
  assert.equal(told.forwarded, `for=6.6.6.6, for="[2001:db8::7]:4711";proto=https, ${OWN}`)
  assert.equal(told['x-forwarded-for'], '2001:db8::7, 127.0.0.1')
})

for (const [trustedHeader, own, let_through] of [
  ['x-forwarded-for', 'X-Forwarded-For: 203.0.113.7', 'Forwarded: for=6.6.6.6'],
  ['forwarded', 'Forwarded: for=203.0.113.7', 'X-Forwarded-For: 6.6.6.6'],
  ['forwarded', 'Forwarded: for=203.0.113.7', 'X_Forwarded_For: 6.6.6.6'],
] as const) {
  test(`what a proxy of ${trustedHeader} only lets through counts for nothing (${let_through})`, async (t) => {
    const settings = { trustedProxies: ['127.0.0.1'], trustedHeader }
    for (const lines of [
      [own, let_through],
      [let_through, own],
    ]) {
      const { client, told } = await send(t, settings, ...lines)
      assert.equal(client, '203.0.113.7')
      assert.doesNotMatch(JSON.stringify(told), /6\.6\.6\.6/)
    }
    const { client } = await send(t, settings, let_through)
    assert.equal(client, '127.0.0.1')
  })
}

test('nonsense from a trusted proxy leaves the last address that is known', async (t) => {
  for (const list of ['6.6.6.6, unknown', '6.6.6.6, 1.2.3', '6.6.6.6,']) {
    const { client } = await send(t, { trustedProxies: 1 }, `X-Forwarded-For: ${list}`)
    assert.equal(client, '127.0.0.1')
  }
})
