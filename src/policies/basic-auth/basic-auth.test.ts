import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hashSync } from '@node-rs/bcrypt'
import type { ConsumerDirectory, KnownConsumer } from '../../proxy/pipeline/consumer.ts'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { NO_CONSUMERS } from '../../proxy/pipeline/inert-environment.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, testEnvironment } from '../policy.test-support.ts'
import { basicAuth } from './basic-auth.ts'

const HASH = hashSync('right', 4)
const ANN: KnownConsumer = { id: 'ann', groups: [], claims: null, metadata: {}, limits: {} }

function request(username: string, password: string) {
  const encoded = Buffer.from(`${username}:${password}`).toString('base64')
  return testExchange({ fields: [`Authorization: Basic ${encoded}`] })
}

function directory(hash: string): ConsumerDirectory {
  return {
    ...NO_CONSUMERS,
    byUsername: (name) => (name === 'ann' ? { consumer: ANN, hash } : null),
    decoyHash: () => hash,
  }
}

describe('basic-auth', () => {
  test('remembers a right password, until it or its hash has changed', async () => {
    let hash = HASH
    const consumers: ConsumerDirectory = {
      ...NO_CONSUMERS,
      byUsername: (name) => (name === 'ann' ? { consumer: ANN, hash } : null),
    }
    const environment = testEnvironment({ consumers })
    const hooks = hooksOf(basicAuth, { remember: '1m' }, environment)
    const isRemembered = () => {
      const verdict = hooks.onRequest!(request('ann', 'right'))
      return verdict === undefined ? true : verdict
    }
    assert.equal(await isRemembered(), undefined, 'the first time it is hashed')
    assert.equal(isRemembered(), true)
    assert.ok(hooks.onRequest!(request('ann', 'Right')) instanceof Promise)
    environment.clock.advance(60_001)
    assert.equal(await isRemembered(), undefined)
    assert.equal(isRemembered(), true)
    hash = hashSync('new', 4)
    assert.ok((await hooks.onRequest!(request('ann', 'right'))) instanceof Reply)
    environment.dispose()
  })

  test('hashes for an unknown name as well, and never lets it in', async () => {
    const hooks = hooksOf(basicAuth, {}, testEnvironment({ consumers: directory(HASH) }))
    const exchange = request('nobody', 'right')
    const reply = await hooks.onRequest!(exchange)
    assert.equal((reply as Reply).code, 'credential_invalid')
    assert.equal(exchange.consumer, null)
    assert.equal(
      reply as Reply,
      await hooks.onRequest!(request('ann', 'wrong')),
      'the answers do not differ',
    )
  })

  test('asks before it hashes whether another attempt may be made, and notes failures by name', async () => {
    const asked: unknown[] = []
    const failed: unknown[] = []
    let may = true
    const environment = testEnvironment({
      consumers: directory(HASH),
      failedAttempts: {
        mayTry: (_bounds, ip, identity) => {
          asked.push([ip, identity])
          return may
        },
        failed: (_bounds, ip, identity) => void failed.push([ip, identity]),
      },
    })
    const hooks = hooksOf(basicAuth, {}, environment)
    await hooks.onRequest!(request('ann', 'wrong'))
    assert.deepEqual(asked, [['192.0.2.1', 'basic ann']])
    assert.deepEqual(failed, asked)
    may = false
    const reply = await hooks.onRequest!(request('ann', 'right'))
    assert.equal((reply as Reply).code, 'too_many_failures')
    assert.equal(failed.length, 1)
    environment.dispose()
  })
})
