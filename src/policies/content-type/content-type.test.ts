import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals } from '../policy.test-support.ts'
import { contentType } from './content-type.ts'

const allow = ['application/json', 'image/*', 'application/*+json']

function passes(type: readonly string[], body = 'Content-Length: 2'): boolean {
  const fields = [body, ...type.map((value) => `Content-Type: ${value}`)]
  const hooks = hooksOf(contentType, { allow })
  const verdict = hooks.onRequest!(testExchange({ method: 'POST', fields }))
  if (verdict === undefined) return true
  assert.ok(verdict instanceof Reply)
  assert.equal(verdict.status, 415)
  assert.equal(verdict.code, 'unsupported_media_type')
  assert.ok(verdict.fieldLines.includes(`Accept: ${allow.join(', ')}\r\n`))
  return false
}

describe('content-type', () => {
  for (const [types, expected] of [
    [['application/json'], true],
    [['Application/JSON'], true],
    [['application/json; charset=utf-8'], true],
    [['application/json ;charset="UTF-8"'], true],
    [['application/json;charset="\\utf-8"'], true],
    [['application/json;'], true],
    [['application/json; profile="a;charset=x"'], true],
    [['image/png'], true],
    [['application/problem+json'], true],
    [['application/json; charset=utf-16'], false],
    [['application/json; charset=utf-8; charset=utf-7'], false],
    [['application/json; charset'], false],
    [['application/json; charset = utf-8'], false],
    [['application/json, text/plain'], false],
    [['application/json', 'application/json'], false],
    [['application/json text/plain'], false],
    [['application/jsonp'], false],
    [['application/+jsonx'], false],
    [['text/problem+json'], false],
    [['images/png'], false],
    [['json'], false],
    [['/json'], false],
    [[''], false],
    [[], false],
  ] as const) {
    test(`${expected ? 'takes' : 'refuses'} ${JSON.stringify(types)}`, () => {
      assert.equal(passes(types), expected)
    })
  }

  test('asks for a type only where there is a body', () => {
    assert.equal(passes([], 'X-None: 1'), true)
    assert.equal(passes(['text/html'], 'Content-Length: 0'), true)
    assert.equal(passes([], 'Transfer-Encoding: chunked'), false)
  })

  test('takes other charsets where they are listed', () => {
    const hooks = hooksOf(contentType, { allow: ['text/plain'], charsets: ['iso-8859-1'] })
    for (const [charset, expected] of [
      ['ISO-8859-1', true],
      ['utf-8', false],
    ] as const) {
      const fields = ['Content-Length: 2', `Content-Type: text/plain; charset=${charset}`]
      const verdict = hooks.onRequest!(testExchange({ method: 'POST', fields }))
      assert.equal(verdict === undefined, expected)
    }
  })

  test('knows what a media type is', () => {
    for (const range of [
      'json',
      '*/*',
      'Text/plain',
      'text/plain; charset=utf-8',
      'a*/b',
      'a/b*',
    ]) {
      assert.match(
        refusals(contentType, { allow: [range] })[0]!,
        /^allow\.0: expected a media type/,
      )
    }
    assert.match(refusals(contentType, { allow: [] })[0]!, /^allow/)
    assert.match(refusals(contentType, {})[0]!, /^allow/)
  })
})
