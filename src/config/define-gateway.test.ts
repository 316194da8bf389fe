import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineGateway } from './define-gateway.ts'

test('a configuration comes back as it was written, and mistakes are found by the compiler', () => {
  const config = defineGateway({
    listen: 'http://127.0.0.1:0',
    services: { a: { endpoints: ['http://127.0.0.1:1'], balance: { hash: { by: 'path' } } } },
    use: ['request-id', { cors: { origins: '*' }, when: 'true' }],
    routes: [{ path: '/a', methods: ['GET'], to: [{ service: 'a', weight: 1 }] }],
  })
  assert.equal(defineGateway(config), config)
  const route = { respond: {} }
  // @ts-expect-error: a misspelt key
  defineGateway({ listen: 'http://127.0.0.1:0', polices: {}, routes: [route] })
  // @ts-expect-error: a value that does not fit
  defineGateway({ listen: 8080, routes: [route] })
  // @ts-expect-error: what must not be missing
  defineGateway({ routes: [route] })
})
