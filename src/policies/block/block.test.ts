import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals, testEnvironment } from '../policy.test-support.ts'
import { block } from './block.ts'

describe('block', () => {
  test('refuses where the expression holds, and only there', () => {
    const hooks = hooksOf(block, { if: "request.path.startsWith('/admin')" })
    const verdict = hooks.onRequest!(testExchange({ target: '/admin/users' }))
    assert.ok(verdict instanceof Reply)
    assert.equal(verdict.status, 403)
    assert.equal(verdict.code, 'blocked')
    assert.equal(JSON.parse(verdict.body.toString()).status, 403)
    assert.equal(hooks.onRequest!(testExchange({ target: '/shop' })), undefined)
  })

  test('answers with the status and the sentence that it is given', () => {
    const hooks = hooksOf(block, { if: 'true', status: 410, detail: 'It is gone.' })
    const verdict = hooks.onRequest!(testExchange())
    assert.ok(verdict instanceof Reply)
    assert.equal(verdict.status, 410)
    const problem = JSON.parse(verdict.body.toString())
    assert.equal(problem.status, 410)
    assert.equal(problem.code, 'blocked')
    assert.equal(problem.detail, 'It is gone.')
  })

  test('refuses what it cannot judge, and says so once', () => {
    const warnings: unknown[] = []
    const nothing = () => {}
    const log = {
      info: nothing,
      error: nothing,
      line: nothing,
      warn: (fields: unknown) => void warnings.push(fields),
    }
    const hooks = hooksOf(block, { if: 'consumer.claims.level > 3' }, testEnvironment({ log }))
    const claims = { level: 'high' }
    for (let i = 0; i < 2; i++) {
      const exchange = testExchange({ consumer: { id: 'ada', groups: [], claims } })
      assert.ok(hooks.onRequest!(exchange) instanceof Reply)
    }
    assert.equal(warnings.length, 1)
  })

  test('takes expressions that compile, and statuses that blame the client', () => {
    assert.match(
      refusals(block, { if: 'request.pth == 1' })[0]!,
      /^if: the expression is not valid/,
    )
    assert.match(refusals(block, {})[0]!, /^if/)
    assert.match(refusals(block, { if: 'true', status: 200 })[0]!, /^status/)
    assert.match(refusals(block, { if: 'true', status: 500 })[0]!, /^status/)
  })
})
