// An address that another service has got never receives what was meant for this one.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { answering, becomes, start } from '../support/changing-gateway.ts'
import { ask } from '../support/fleet.ts'
import { TestFolder } from '../support/tls.ts'

const IDENTITY = { path: '/whoami', header: 'X-Service', value: 'orders', every: '1h' }

/** Something that listens, and says who it is when it is asked. */
class Member {
  /** Requests received, without those for `/whoami`. */
  requests = 0
  asked = 0
  #server: http.Server | null = null
  #port = 0
  readonly name: string
  /** Whether it takes connections and says nothing. */
  isStuck = false

  constructor(t: TestContext, name: string) {
    this.name = name
    t.after(() => this.leave())
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Begins to listen, at a free port or at one that somebody left. */
  async come(port = 0): Promise<this> {
    const server = http.createServer((request, response) => {
      if (request.url === '/whoami') this.asked += 1
      else this.requests += 1
      if (this.isStuck) return
      response.writeHead(200, { 'x-service': this.name }).end(String(this.#port))
    })
    this.#server = server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    return this
  }

  async leave(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
}

const named = (...members: Member[]) => members.map(({ port }) => String(port))

describe('an endpoint that must prove who it is', () => {
  test('gets no request before, and none if it is somebody else, not even in a panic', async (t) => {
    const one = await new Member(t, 'orders').come()
    const other = await new Member(t, 'billing').come()
    const endpoints = [one.url, other.url]
    const { port, said } = await start(t, { endpoints, identity: IDENTITY })
    assert.deepEqual(await answering(port), named(one))
    assert.ok(other.asked > 0 && other.requests === 0)
    assert.ok(said.includes('the health of an endpoint changed'))
    // What is expected may be a secret.
    assert.ok(said.includes('its answer lacks the expected `x-service`'), said.join('\n'))
    assert.ok(!said.some((line) => line.includes('orders')))
    await one.leave()
    for (let i = 0; i < 10; i++) assert.notEqual((await ask(port)).status, 200)
    assert.equal(other.requests, 0)
  })

  test('that could not be connected to gets none until it has again', async (t) => {
    const one = await new Member(t, 'orders').come()
    const two = await new Member(t, 'orders').come()
    const { port } = await start(t, { endpoints: [one.url, two.url], identity: IDENTITY })
    await becomes(port, named(one, two))
    const place = two.port
    await two.leave()
    for (let i = 0; i < 10; i++) assert.equal((await ask(port)).text, String(one.port))
    // The address goes to another service.
    const billing = await new Member(t, 'billing').come(place)
    await eventually(
      () => billing.asked > 1,
      () => 'the other one to be asked who it is',
    )
    for (let i = 0; i < 20; i++) assert.equal((await ask(port)).text, String(one.port))
    assert.equal(billing.requests, 0)
    await billing.leave()
    await two.come(place)
    await becomes(port, named(one, two))
  })

  test('is asked again and again, so that one that changed hands unseen is found out', async (t) => {
    const one = await new Member(t, 'orders').come()
    const two = await new Member(t, 'orders').come()
    const identity = { ...IDENTITY, every: '100ms' }
    const { port } = await start(t, { endpoints: [one.url, two.url], identity })
    await becomes(port, named(one, two))
    const place = two.port
    await two.leave()
    const billing = await new Member(t, 'billing').come(place)
    await eventually(
      () => billing.asked > 1,
      () => 'the other one to be asked who it is',
    )
    const seen = billing.requests
    assert.deepEqual(await answering(port), named(one))
    assert.equal(billing.requests, seen)
  })

  test('and says nothing for a while goes on being used: it may be busy', async (t) => {
    const one = await new Member(t, 'orders').come()
    const identity = { ...IDENTITY, every: '100ms', timeout: '50ms' }
    const { port } = await start(t, { url: one.url, identity })
    assert.deepEqual(await answering(port), named(one))
    one.isStuck = true
    const { asked } = one
    await eventually(
      () => one.asked > asked + 2,
      () => 'checks that nobody answers',
    )
    one.isStuck = false
    assert.deepEqual(await answering(port), named(one))
  })
})

test('a service that moves as a whole is nowhere for no moment', async (t) => {
  const one = await new Member(t, 'orders').come()
  const two = await new Member(t, 'orders').come()
  const folder = new TestFolder(t)
  folder.write('endpoints.yaml', `- ${one.url}\n`)
  const service = { discover: { file: './endpoints.yaml' }, identity: IDENTITY }
  const { port } = await start(t, service, folder.path)
  folder.write('endpoints.yaml', `- ${two.url}\n`)
  const statuses = new Set<number>()
  await eventually(
    async () => {
      const { status, text } = await ask(port)
      statuses.add(status)
      return text === String(two.port)
    },
    () => 'the new address to answer',
  )
  assert.deepEqual([...statuses], [200])
})

test('a service that is asked to prove itself from now on is used meanwhile', async (t) => {
  const one = await new Member(t, 'orders').come()
  const { port, apply } = await start(t, { url: one.url })
  await apply({ url: one.url, identity: IDENTITY })
  assert.deepEqual(await answering(port), named(one))
  await apply({ url: one.url, identity: { ...IDENTITY, value: 'billing' } })
  await becomes(port, ['503'])
  await apply({ url: one.url })
  assert.deepEqual(await answering(port), named(one))
})
