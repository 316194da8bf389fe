import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testExchange } from '../proxy/pipeline/exchange.test-support.ts'
import { isTokenText, TokenSource, type TokenSourceSetting } from './token-source.ts'

function found(source: TokenSource, ...fields: string[]): string {
  const finding = source.find(testExchange({ fields }))
  return finding === 'found' ? `${source.scheme} ${source.token}` : finding
}

test('Authorization holds one token, whatever the case of its scheme', () => {
  const source = new TokenSource('authorization')
  assert.equal(found(source), 'none')
  assert.equal(found(source, 'Authorization: Bearer abc.d-e_f~+/='), 'Bearer abc.d-e_f~+/=')
  assert.equal(found(source, 'AUTHORIZATION: bEARER   abc'), 'Bearer abc')
  assert.equal(found(source, 'Authorization: Basic abc'), 'none')
  assert.equal(found(source, 'Authorization: Bearerx abc'), 'none')
  assert.equal(found(source, 'Authorization: DPoP abc'), 'none')
  assert.equal(found(source, 'Authorization: Digest a="b", c="d"'), 'none')
  assert.equal(found(source, 'Authorization: Bearer'), 'malformed')
  assert.equal(found(source, 'Authorization: Bearer a b'), 'malformed')
  assert.equal(found(source, 'Authorization: Bearer a,b'), 'malformed')
  for (const second of ['Bearer b', 'Basic b', 'x']) {
    assert.equal(
      found(source, 'Authorization: Bearer a', `authorization: ${second}`),
      'repeated',
      second,
    )
    assert.equal(
      found(source, `authorization: ${second}`, 'Authorization: Bearer a'),
      'repeated',
      second,
    )
  }
  const both = new TokenSource('authorization', ['Bearer', 'DPoP'])
  assert.equal(found(both, 'Authorization: dpop abc'), 'DPoP abc')
  assert.equal(found(both, 'Authorization: Bearer abc'), 'Bearer abc')
})

test('a tab is no way to make the gateway and the service see different schemes', () => {
  const source = new TokenSource('authorization')
  assert.notEqual(found(source, 'Authorization: Bearer\tabc'), 'none')
  assert.equal(isTokenText('\tabc'), false)
})

test('a cookie or header holds one token', () => {
  const cookie = new TokenSource({ cookie: 't' })
  assert.equal(found(cookie, 'Cookie: a=1; t=abc; tt=2'), 'Bearer abc')
  assert.equal(found(cookie, 'Cookie: t="abc"'), 'Bearer abc')
  assert.equal(found(cookie, 'Cookie: T=abc; xt=1'), 'none')
  assert.equal(found(cookie, 'Cookie: t='), 'malformed')
  assert.equal(found(cookie, 'Cookie: t=a; t=b'), 'repeated')
  assert.equal(found(cookie, 'Cookie: t=a', 'Cookie: t=a'), 'repeated')
  const header = new TokenSource({ header: 'X-Token' })
  assert.equal(found(header, 'x-token: abc'), 'Bearer abc')
  assert.equal(found(header, 'x-token: Bearer abc'), 'malformed')
  assert.equal(found(header, 'x-token: a', 'X-TOKEN: a'), 'repeated')
})

test('stripping takes the token and nothing else', () => {
  const stripped = (setting: TokenSourceSetting, name: string, ...fields: string[]) => {
    const exchange = testExchange({ fields })
    new TokenSource(setting).strip(exchange)
    return exchange.requestHeader(name)
  }
  assert.equal(stripped({ cookie: 't' }, 'cookie', 'Cookie: a=1; t=abc; b'), 'a=1; b')
  assert.equal(stripped({ cookie: 't' }, 'cookie', 'Cookie: t=abc'), null)
  assert.equal(stripped({ header: 'X-T' }, 'x-t', 'x-t: abc'), null)
  assert.equal(stripped('authorization', 'authorization', 'Authorization: Bearer a'), null)
})

test('a token is made of the characters that RFC 6750 names', () => {
  for (const text of ['a', 'A9-._~+/', 'a==']) assert.ok(isTokenText(text), text)
  for (const text of ['', '=', 'a=b', 'a b', 'a,', 'a"', 'é', 'a@', 'a`', 'a{', 'a:', 'a[']) {
    assert.equal(isTokenText(text), false, text)
  }
})
