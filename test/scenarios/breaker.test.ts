// A service that fails as a whole: everybody is told so at once, and it is left in peace until it works.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { eventually } from '../support/changes.ts'
import { ask, fleet, type Instance, Load } from '../support/fleet.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'

const CLIENTS = 6
const SERVICE: Settings = {
  timeouts: { connect: '300ms', attempt: '300ms' },
  retries: { attempts: 2, on: ['connect', 'reset', 'timeout', 500, 502, 503, 504] },
}

async function start(t: TestContext, service: Settings, settings: Settings = {}) {
  const instances = await fleet(3)
  const endpoints = instances.map(({ url }) => url)
  const gateway = await TestGateway.to({ endpoints, ...SERVICE, ...service }, settings)
  const loads: Load[] = []
  t.after(async () => {
    for (const load of loads) await load.stop()
    await gateway.close()
    for (const instance of instances) await instance.close()
  })
  /** Clients that go on asking until the test ends. */
  const load = (): Load => {
    const made = new Load(gateway.port, CLIENTS)
    loads.push(made)
    return made
  }
  return { instances, gateway, load }
}

function requestsOf(instances: readonly Instance[]): number {
  return instances.reduce((sum, { requests }) => sum + requests, 0)
}

describe('all of them fail', { concurrency: 8 }, () => {
  for (const fault of ['refuse', 'reset', 'stall', '503'] as const) {
    test(`${fault}: clients get 503 at once, and the instances are left in peace`, async (t) => {
      const breaker = { window: '2s', requests: 12, open: '1m' }
      const { instances, load } = await start(t, { breaker })
      const clients = load()
      await clients.more(60)
      const answered = clients.answers.length
      for (const instance of instances) await instance.become(fault)
      const before = requestsOf(instances)
      await eventually(
        () => clients.answers.at(-1)!.code === 'circuit_open',
        () => 'the breaker to open',
      )
      const refused = await clients.more(300)
      const others = refused.filter(({ code }) => code !== 'circuit_open')
      assert.ok(others.length <= CLIENTS, 'only those that were on their way when it opened')
      const { status, headers } = clients.answers.at(-1)!
      assert.equal(status, 503)
      assert.match(headers['retry-after'] ?? '', /^[1-9][0-9]?$/)
      const asked = clients.answers.slice(answered).filter(({ code }) => code !== 'circuit_open')
      // A fifth of the live traffic, the warm-up included, and ten a second, of which ten may be saved up.
      const budget = 0.2 * (answered + asked.length + CLIENTS) + 30
      const attempts = requestsOf(instances) - before
      assert.ok(attempts <= asked.length + CLIENTS + budget, `${attempts} for ${asked.length}`)
    })
  }
})

describe('a breaker', () => {
  const breaker = { window: '10s', requests: 5, ratio: 0.5, open: '300ms', probes: 2 }
  const once: Settings = { retries: { attempts: 0 }, ejection: false }

  async function opened(t: TestContext, service: Settings, settings: Settings = {}) {
    const made = await start(t, { ...once, ...service }, settings)
    for (const instance of made.instances) await instance.become('503')
    for (let i = 0; i < 5; i++) assert.equal((await ask(made.gateway.port)).code, null)
    return made
  }

  test('closes when all probes pass, and lets no more than these through before', async (t) => {
    const { instances, gateway } = await opened(t, { breaker, timeouts: {} })
    assert.equal((await ask(gateway.port)).code, 'circuit_open')
    for (const instance of instances) await instance.become('slow')
    const before = requestsOf(instances)
    await eventually(
      async () => {
        // Probes take long, so that all of these come while they are on their way.
        const answers = await Promise.all(Array.from({ length: 8 }, () => ask(gateway.port)))
        const passed = answers.filter(({ status }) => status === 200).length
        assert.ok(passed === 0 || passed === 2, `${passed}`)
        return passed === 2
      },
      () => 'the probes',
    )
    assert.equal(requestsOf(instances) - before, 2)
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(gateway.port)))
    assert.ok(answers.every(({ status }) => status === 200))
  })

  test('opens again when a probe fails', async (t) => {
    const { instances, gateway } = await opened(t, { breaker })
    const before = requestsOf(instances)
    await eventually(
      async () => (await ask(gateway.port)).code === null,
      () => 'a probe',
    )
    assert.equal((await ask(gateway.port)).code, 'circuit_open')
    assert.equal(requestsOf(instances) - before, 1)
  })

  test('counts slow answers as failed, if told so', async (t) => {
    const { instances, gateway } = await start(t, {
      ...once,
      timeouts: {},
      breaker: { ...breaker, slowerThan: '100ms', open: '1m' },
    })
    for (const instance of instances) await instance.become('slow')
    for (let i = 0; i < 5; i++) assert.equal((await ask(gateway.port)).status, 200)
    assert.equal((await ask(gateway.port)).code, 'circuit_open')
  })

  test('stays closed with fewer failures, and with fewer requests, than it takes', async (t) => {
    const { instances, gateway } = await start(t, {
      ...once,
      breaker: { ...breaker, requests: 10, ratio: 0.6 },
    })
    for (const instance of instances) await instance.become('503')
    for (let i = 0; i < 9; i++) assert.equal((await ask(gateway.port)).code, null)
    for (const instance of instances) await instance.become('ok')
    for (let i = 0; i < 9; i++) assert.equal((await ask(gateway.port)).status, 200)
    // Half of these 19 have failed, where six in ten are needed.
    await instances[0]!.become('503')
    for (let i = 0; i < 12; i++) assert.notEqual((await ask(gateway.port)).code, 'circuit_open')
  })

  test('a retried failure that no client sees does not open it', async (t) => {
    const { instances, gateway } = await start(t, {
      ejection: false,
      balance: 'round-robin',
      breaker: { ...breaker, ratio: 0.2 },
    })
    await instances[0]!.become('503')
    for (let i = 0; i < 12; i++) assert.equal((await ask(gateway.port)).status, 200)
  })

  test('answers with the reply it was given', async (t) => {
    const fallback = { status: 200, headers: { 'x-from': 'fallback' }, body: '[]' }
    const { gateway } = await opened(t, { breaker: { ...breaker, open: '1m', fallback } })
    const { status, text, headers } = await ask(gateway.port)
    assert.deepEqual([status, text, headers['x-from']], [200, '[]', 'fallback'])
  })

  test('asks another service instead, with body and all', async (t) => {
    const [spare] = await fleet(1)
    t.after(() => spare!.close())
    const { instances, gateway } = await start(t, {}, {})
    for (const instance of instances) await instance.become('503')
    const both = await TestGateway.start({
      services: {
        s: {
          endpoints: instances.map(({ url }) => url),
          ...once,
          breaker: { ...breaker, open: '1m', fallback: { to: 'spare' } },
        },
        spare: spare!.url,
      },
      routes: [{ path: '/*', to: 's' }],
    })
    t.after(() => both.close())
    for (let i = 0; i < 5; i++) assert.equal((await ask(both.port)).status, 503)
    const answer = await ask(both.port, { method: 'POST', path: '/x' }, 'hello')
    assert.deepEqual([answer.status, answer.text], [200, String(spare!.port)])
    assert.equal(spare!.received[0]!.url, '/x')
    assert.equal((await ask(gateway.port)).status, 503)
  })
})
