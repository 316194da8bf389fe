import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadObject } from '../config/load-object.ts'
import type { Document } from '../config/schema.ts'
import { ChangedRoutes } from './changed-routes.ts'

const EXCHANGE = {
  route: { id: 'chat' },
  service: 's',
  endpoint: '[::1]:4001',
  endEarly: () => {},
}

async function documentWith(service: unknown, rest: object = {}): Promise<Document> {
  const routes = [{ id: 'chat', path: '/chat', to: 's' }]
  const services = { s: service }
  const config = { listen: 'http://127.0.0.1:0', services, routes, ...rest }
  return (await loadObject(config as never)).document
}

async function concerned(before: unknown, after: unknown, rest: object = {}): Promise<boolean> {
  const documents = [await documentWith(before), await documentWith(after, rest)] as const
  return new ChangedRoutes(...documents).concern(EXCHANGE)
}

test('an endpoint is known by its address, however many others come and go', async () => {
  const before = { endpoints: ['http://[::1]:4001', 'http://127.0.0.1:4002'] }
  assert.equal(await concerned(before, { endpoints: ['http://[::1]:4001'] }), false)
  assert.equal(await concerned(before, { endpoints: ['http://127.0.0.1:4002'] }), true)
})

test('what discovery finds or loses is no change of the configuration', async () => {
  const before = { discover: { srv: '_http._tcp.orders.internal' } }
  assert.equal(await concerned(before, before), false)
  const after = { discover: { srv: '_http._tcp.others.internal' } }
  assert.equal(await concerned(before, after), true)
})

test('a policy on every route concerns every route, another route none but itself', async () => {
  const service = 'http://[::1]:4001'
  assert.equal(await concerned(service, service, { use: ['request-id'] }), true)
  const routes = [
    { id: 'chat', path: '/chat', to: 's' },
    { id: 'other', path: '/other', respond: { body: 'here' } },
  ]
  assert.equal(await concerned(service, service, { routes }), false)
  const services = { s: service, t: 'http://127.0.0.1:1' }
  const others = [{ id: 'chat', path: '/chat', to: 't' }]
  assert.equal(await concerned(service, service, { services, routes: others }), true)
})
