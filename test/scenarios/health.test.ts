// Checks find out what endpoints are worth before requests do, and what was found out outlives changes
// of the configuration.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { createGateway } from '../../src/gateway/gateway.ts'
import { Authority } from '../support/certificates.ts'
import { eventually } from '../support/changes.ts'
import { ask, fleet, type Instance } from '../support/fleet.ts'
import { type Settings, TestGateway } from '../support/gateway.ts'
import { TestFolder } from '../support/tls.ts'

const FAST = { every: '100ms', timeout: '1s', healthy: 2, unhealthy: 2 }

async function start(t: TestContext, instances: readonly Instance[], service: Settings) {
  const endpoints = service.endpoints ?? instances.map(({ url }) => url)
  const gateway = await TestGateway.to({ balance: 'round-robin', ...service, endpoints })
  t.after(async () => {
    await gateway.close()
    for (const instance of instances) await instance.close()
  })
  return gateway
}

/** Resolves once only these answer, several times in a row. */
async function usesOnly(port: number, instances: readonly Instance[]): Promise<void> {
  const wanted = instances.map((instance) => String(instance.port)).sort()
  await eventually(
    async () => {
      const seen = new Set<string>()
      for (let i = 0; i < 9; i++) seen.add((await ask(port)).text)
      return JSON.stringify([...seen].sort()) === JSON.stringify(wanted)
    },
    () => `answers of ${wanted} only`,
  )
}

describe('a check over HTTP', () => {
  test('takes an endpoint out of use, and puts it back', async (t) => {
    const all = await fleet(3)
    const gateway = await start(t, all, { health: { path: '/health', ...FAST } })
    await usesOnly(gateway.port, all)
    all[2]!.isSick = true
    await usesOnly(gateway.port, all.slice(0, 2))
    const seen = all[2]!.requests
    for (let i = 0; i < 6; i++) await ask(gateway.port)
    assert.equal(all[2]!.requests, seen)
    all[2]!.isSick = false
    await usesOnly(gateway.port, all)
  })

  for (const [name, health, passes] of [
    ['a status that is asked for', { status: 500 }, false],
    ['one out of several ranges', { status: ['300-399', 200] }, true],
    ['a body that holds the text', { body: 'ell' }, true],
    ['a body that does not', { body: 'fine' }, false],
    ['another port, where nobody listens', { port: 1 }, false],
  ] as const) {
    test(`looks at ${name}`, async (t) => {
      const all = await fleet(1)
      const settings = { path: '/health', ...FAST, holdBack: true, ...health }
      const gateway = await start(t, all, { health: settings })
      if (passes) {
        await eventually(
          async () => (await ask(gateway.port)).status === 200,
          () => 'a pass',
        )
      } else if (!('port' in health)) {
        await eventually(
          () => all[0]!.checks >= 3,
          () => 'checks',
        )
      }
      const { status, code } = await ask(gateway.port)
      assert.deepEqual([status, code], passes ? [200, null] : [503, 'no_endpoint'])
    })
  }

  test('sends the method, headers and Host it was told', async (t) => {
    const all = await fleet(1)
    const health = {
      path: '/ready?deep=1',
      method: 'OPTIONS',
      headers: { host: 'shop.test', 'x-check': 'yes' },
      ...FAST,
    }
    await start(t, all, { health })
    await eventually(
      () => all[0]!.received.length > 0,
      () => 'a check',
    )
    const { url, method, headers } = all[0]!.received[0]!
    assert.deepEqual([url, method], ['/ready?deep=1', 'OPTIONS'])
    assert.deepEqual([headers.host, headers['x-check']], ['shop.test', 'yes'])
    assert.equal(headers['user-agent'], 'gatehouse-health')
  })
})

test('a check by TCP alone finds out who does not listen, without costing a request', async (t) => {
  const all = await fleet(2)
  const gateway = await start(t, all, { health: FAST, retries: { attempts: 0 }, ejection: false })
  await all[1]!.become('refuse')
  await usesOnly(gateway.port, all.slice(0, 1))
  const answers = []
  for (let i = 0; i < 6; i++) answers.push(await ask(gateway.port))
  assert.ok(answers.every(({ status }) => status === 200))
  await all[1]!.become('ok')
  await usesOnly(gateway.port, all)
})

test('checks of https endpoints trust and show what the service does', async (t) => {
  const authority = new Authority('Shop CA')
  const certificate = authority.issue({ commonName: 'shop', names: ['127.0.0.1'] })
  const server = https.createServer(
    { key: certificate.key, cert: certificate.cert },
    (_, response) => response.end('secure'),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ca = new TestFolder(t).write('ca.pem', authority.cert)
  for (const [tls, path, status] of [
    [{ ca }, '/health', 200],
    [{ ca }, undefined, 200],
    [{}, '/health', 503],
  ] as const) {
    const health = { ...FAST, holdBack: true, ...(path === undefined ? {} : { path }) }
    const gateway = await TestGateway.to({ url, tls, health })
    t.after(() => gateway.close())
    if (status === 200) {
      await eventually(
        async () => (await ask(gateway.port)).status === 200,
        () => 'a pass',
      )
    } else assert.equal((await ask(gateway.port)).code, 'no_endpoint')
  }
})

describe('an endpoint that nobody checked yet', () => {
  test('is used', async (t) => {
    const all = await fleet(1)
    const gateway = await start(t, all, { health: { path: '/health', every: '1h' } })
    assert.equal((await ask(gateway.port)).status, 200)
  })

  test('waits for its first pass if that is asked for', async (t) => {
    const all = await fleet(2)
    all[1]!.isSick = true
    const gateway = await start(t, all, { health: { path: '/health', ...FAST, holdBack: true } })
    await usesOnly(gateway.port, all.slice(0, 1))
    assert.equal(all[1]!.requests, 0)
    all[1]!.isSick = false
    await usesOnly(gateway.port, all)
  })
})

describe('when checks fail everywhere', () => {
  async function sick(t: TestContext, service: Settings) {
    const all = await fleet(3)
    const health = { path: '/health', ...FAST }
    const gateway = await start(t, all, { health, ...service })
    for (const instance of all) instance.isSick = true
    const checks = all.map((instance) => instance.checks)
    await eventually(
      () => all.every((instance, index) => instance.checks > checks[index]! + 3),
      () => 'checks to fail',
    )
    return { all, gateway }
  }

  test('all are used again: requests know better than checks', async (t) => {
    const { all, gateway } = await sick(t, {})
    await usesOnly(gateway.port, all)
  })

  test('requests get 503 if that is not wanted', async (t) => {
    const { gateway } = await sick(t, { panicBelow: 0 })
    const { status, code } = await ask(gateway.port)
    assert.deepEqual([status, code], [503, 'no_endpoint'])
  })
})

test('those that stand by are used while the first ones cannot be', async (t) => {
  const all = await fleet(3)
  const [one, two, spare] = all.map(({ url }) => url)
  const endpoints = [one, two, { url: spare, priority: 1 }]
  const gateway = await start(t, all, { endpoints, health: { path: '/health', ...FAST } })
  await usesOnly(gateway.port, all.slice(0, 2))
  all[0]!.isSick = true
  all[1]!.isSick = true
  await usesOnly(gateway.port, all.slice(2))
  all[0]!.isSick = false
  await usesOnly(gateway.port, all.slice(0, 1))
})

test('an ejected endpoint stays out when the configuration changes', async (t) => {
  const all = await fleet(2)
  const settings = (weight: number) => ({
    listen: 'http://127.0.0.1:0',
    admin: false as const,
    services: {
      s: {
        endpoints: [all[0]!.url, { url: all[1]!.url, weight }],
        balance: 'round-robin' as const,
        retries: { attempts: 1 },
        ejection: { time: '1m' },
      },
    },
    routes: [{ path: '/*', to: 's' }],
  })
  const gateway = await createGateway(settings(1))
  await gateway.start()
  t.after(async () => {
    await gateway.close()
    for (const instance of all) await instance.close()
  })
  const { port } = gateway.addresses[0]!
  await all[1]!.become('503')
  for (let i = 0; i < 20; i++) assert.equal((await ask(port)).status, 200)
  const seen = all[1]!.requests
  assert.equal(seen, 5)
  await gateway.apply(settings(3))
  for (let i = 0; i < 20; i++) await ask(port)
  assert.equal(all[1]!.requests, seen)
})

test('an ejection for the part of requests that fail is counted, and so is one for failures in a row', async (t) => {
  for (const ejection of [
    { failures: 1000, requests: 5 },
    { failures: 3, ratio: 1 },
  ]) {
    const all = await fleet(3)
    const gateway = await start(t, all, { retries: { attempts: 0 }, ejection })
    await all[1]!.become('503')
    await eventually(
      async () => {
        await ask(gateway.port)
        return gateway.metric('gatehouse_upstream_ejections_total') === 1
      },
      () => 'the ejection',
    )
    await usesOnly(gateway.port, [all[0]!, all[2]!])
  }
})

test('the last endpoint is never ejected, and more than the share never are', async (t) => {
  const all = await fleet(4)
  const gateway = await start(t, all, { retries: { attempts: 0 }, ejection: { time: '1m' } })
  for (const instance of all) await instance.become('503')
  for (let i = 0; i < 60; i++) await ask(gateway.port)
  const before = all.map(({ requests }) => requests)
  for (let i = 0; i < 20; i++) await ask(gateway.port)
  const used = all.filter(({ requests }, index) => requests > before[index]!)
  assert.equal(used.length, 2)
})
