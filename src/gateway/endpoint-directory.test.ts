import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadObject } from '../config/load-object.ts'
import type { Document } from '../config/schema.ts'
import type { Resolution, SrvResolution } from '../proxy/upstream/discovery/resolver.ts'
import { EndpointTable } from '../proxy/upstream/endpoint-table.ts'
import type { EndpointResolver } from './discovery/service-source.ts'
import { EndpointDirectory } from './endpoint-directory.ts'
import type { EndpointsUpdate } from './plane-services.ts'
import { createSharedState } from './shared-state.ts'

/** Answers when it is told to. */
class HeldResolver implements EndpointResolver {
  readonly #waiting = new Map<string, (resolution: Resolution) => void>()

  resolve(name: string): Promise<Resolution> {
    return new Promise((resolve) => this.#waiting.set(name, resolve))
  }

  resolveSrv(): Promise<SrvResolution> {
    throw new Error('no service asks for SRV records')
  }

  answer(name: string, ip: string): void {
    this.#waiting.get(name)!({ failure: null, addresses: [{ ip, ttlMs: 60_000 }] })
  }
}

async function documentOf(services: Record<string, string>): Promise<Document> {
  const routes = Object.keys(services).map((name) => ({ path: `/${name}`, to: name }))
  return (await loadObject({ listen: 'http://127.0.0.1:0', services, routes })).document
}

function addressesOf(update: EndpointsUpdate): Record<string, string[]> {
  return Object.fromEntries(
    update.services.map(({ name, endpoints }) => [name, endpoints.map(({ host }) => host)]),
  )
}

async function withDirectory(
  run: (
    directory: EndpointDirectory,
    resolver: HeldResolver,
    heard: Promise<EndpointsUpdate>,
  ) => Promise<void>,
): Promise<void> {
  const resolver = new HeldResolver()
  const { promise, resolve } = Promise.withResolvers<EndpointsUpdate>()
  const directory = new EndpointDirectory(
    createSharedState(1).endpoints,
    resolver,
    resolve,
    () => {},
  )
  try {
    await run(directory, resolver, promise)
  } finally {
    directory.close()
  }
}

test('the first addresses of a name are waited for, and part of the answer', () =>
  withDirectory(async (directory, resolver) => {
    const document = await documentOf({ one: 'http://one.test:80', two: 'http://127.0.0.2:80' })
    const update = directory.configure(document)
    resolver.answer('one.test', '127.0.0.1')
    assert.deepEqual(addressesOf(await update), { one: ['127.0.0.1'], two: ['127.0.0.2'] })
  }))

test('first addresses that come after the wait are told as soon as they are known', (t) =>
  withDirectory(async (directory, resolver, heard) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const update = directory.configure(await documentOf({ one: 'http://one.test:80' }))
    t.mock.timers.tick(3_000)
    assert.deepEqual(addressesOf(await update), { one: [] })
    t.mock.timers.reset()
    resolver.answer('one.test', '127.0.0.1')
    assert.deepEqual(addressesOf(await heard), { one: ['127.0.0.1'] })
  }))

test('endpoints for which there is no room are told of, and those that were there stay', async (t) => {
  const resolver = new HeldResolver()
  const { promise: told, resolve: tell } = Promise.withResolvers<string>()
  const capacity = { endpointsMax: 1, servicesMax: 4, threadsMax: 2 }
  const { buffers } = EndpointTable.create(capacity)
  const updates: EndpointsUpdate[] = []
  const directory = new EndpointDirectory(buffers, resolver, (update) => updates.push(update), tell)
  t.after(() => directory.close())
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const document = await documentOf({ one: 'http://127.0.0.1:80', two: 'http://two.test:80' })
  const update = directory.configure(document)
  t.mock.timers.tick(3_000)
  assert.deepEqual(addressesOf(await update), { one: ['127.0.0.1'], two: [] })
  t.mock.timers.reset()
  resolver.answer('two.test', '127.0.0.2')
  assert.match(
    await told,
    /endpoints that were found are not used: no room for more than 1 endpoints/,
  )
  assert.deepEqual(updates, [])
})
