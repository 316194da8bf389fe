import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals } from '../policy.test-support.ts'
import { bodyLimit } from './body-limit.ts'

describe('body-limit', () => {
  const hooks = hooksOf(bodyLimit, { max: '1kb' })

  for (const [length, passes] of [
    [0, true],
    [1_024, true],
    [1_025, false],
    [Number.MAX_SAFE_INTEGER, false],
  ] as const) {
    test(`${passes ? 'lets pass' : 'refuses at once'} a stated length of ${length}`, () => {
      const exchange = testExchange({ method: 'POST', fields: [`Content-Length: ${length}`] })
      const verdict = hooks.onRequest!(exchange)
      if (passes) assert.equal(verdict, undefined)
      else {
        assert.ok(verdict instanceof Reply)
        assert.equal(verdict.status, 413)
        assert.equal(verdict.code, 'body_too_large')
        assert.match(verdict.body.toString(), /at most 1kb/)
      }
    })
  }

  test('counts a body of unknown length, for each exchange by itself', () => {
    const fields = ['Transfer-Encoding: chunked']
    const first = testExchange({ method: 'POST', fields })
    const second = testExchange({ method: 'POST', fields })
    const half = Buffer.alloc(512)
    assert.equal(hooks.onRequest!(first), undefined)
    assert.equal(hooks.onRequestBody!(first, half), half)
    assert.equal(hooks.onRequestBody!(second, half), half)
    assert.equal(hooks.onRequestBody!(first, half), half)
    assert.equal(hooks.onRequestBody!(second, half), half)
    const verdict = hooks.onRequestBody!(first, Buffer.alloc(1))
    assert.ok(verdict instanceof Reply)
    assert.equal(verdict.code, 'body_too_large')
    assert.equal(hooks.onRequestBody!(second, null), null)
  })

  test('takes sizes with a unit only', () => {
    assert.match(refusals(bodyLimit, { max: 1024 })[0]!, /^max: expected a size/)
    assert.deepEqual(refusals(bodyLimit, { max: '0b' }), [])
  })
})
