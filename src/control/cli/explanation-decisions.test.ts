// No policy that comes with Gatehouse asks anybody when it is explained.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, describe, test } from 'node:test'
import { loadObject } from '../../config/load-object.ts'
import type { DocumentInput, PolicyUse } from '../../config/schema.ts'
import { policies } from '../../policies/registry.ts'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { decideStages } from './explanation-decisions.ts'

const sockets: unknown[] = []
const note = (message: unknown) => void sockets.push(message)
before(() => subscribe('net.client.socket', note))
after(() => unsubscribe('net.client.socket', note))

const TOKEN = `${btoa('{"alg":"RS256","kid":"k"}').replaceAll('=', '')}.e30.c2ln`
const EMPTY = { listen: 'http://127.0.0.1:0', routes: [{ path: '/*', respond: {} }] }

describe('explaining', () => {
  for (const { name, settings, examples } of policies) {
    test(`${name} opens no connection`, async () => {
      const { document } = await loadObject(EMPTY as DocumentInput)
      for (const example of examples) {
        const use: PolicyUse = {
          policy: name,
          settings: settings.parse(example),
          when: null,
          mode: 'enforce',
          id: name,
        }
        for (const fields of [[], [`Authorization: Bearer ${TOKEN}`, 'Cookie: a=b; __Host-s=x']]) {
          const exchange = testExchange({ fields, slots: 64 })
          await decideStages(document, policies, 'route', [use], exchange)
        }
      }
      assert.deepEqual(sockets.splice(0), [])
    })
  }
})
