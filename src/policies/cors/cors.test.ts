import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, testExchange } from '../../proxy/pipeline/exchange.test-support.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { hooksOf, refusals } from '../policy.test-support.ts'
import { cors } from './cors.ts'

type Settings = Parameters<typeof hooksOf<typeof cors.settings>>[1]

const SHOP = 'https://shop.example'

/** The answer to a preflight. */
function preflight(settings: Settings, origin: string, fields: readonly string[] = []): Reply {
  const exchange = testExchange({
    method: 'OPTIONS',
    fields: [`Origin: ${origin}`, 'Access-Control-Request-Method: PUT', ...fields],
  })
  const hooks = hooksOf(cors, settings)
  const verdict = hooks.onRequest!(exchange)
  assert.ok(verdict instanceof Reply)
  // Its own stage sees the answer as well and must leave it alone.
  exchange.localReply = verdict
  hooks.onResponse!(exchange)
  assert.equal(exchange.responseEdits, null)
  return verdict
}

/** The headers of a response after the policy, by lower-case name. */
function shared(
  settings: Settings,
  origin: string | null,
  answered: readonly string[] = [],
): (name: string) => string | null {
  const exchange = testExchange({ fields: origin === null ? [] : [`Origin: ${origin}`] })
  const hooks = hooksOf(cors, settings)
  assert.equal(hooks.onRequest!(exchange), undefined)
  answer(exchange, 200, answered)
  hooks.onResponse!(exchange)
  return (name) => exchange.responseHeader(name)
}

function lines(reply: Reply): Record<string, string> {
  const found: Record<string, string> = {}
  for (const line of reply.fieldLines.split('\r\n').slice(0, -1)) {
    const colon = line.indexOf(': ')
    const name = line.slice(0, colon).toLowerCase()
    assert.ok(!(name in found), `${name} is there twice`)
    found[name] = line.slice(colon + 2)
  }
  return found
}

const PREFLIGHT_VARY =
  'Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network'

describe('a preflight', () => {
  test('of an allowed origin is answered with everything that is allowed', () => {
    const reply = preflight(
      {
        origins: [SHOP],
        methods: ['GET', 'PUT'],
        headers: ['X-One', 'x-two'],
        credentials: true,
        maxAge: '1h',
      },
      SHOP,
      ['Access-Control-Request-Headers: x-other'],
    )
    assert.equal(reply.status, 204)
    assert.equal(reply.body.length, 0)
    assert.deepEqual(lines(reply), {
      'access-control-allow-origin': SHOP,
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'X-One, x-two',
      'access-control-allow-credentials': 'true',
      'access-control-max-age': '3600',
      vary: PREFLIGHT_VARY,
    })
  })

  test('allows the headers that are asked for, by default', () => {
    const asked = ['Access-Control-Request-Headers: authorization,content-type']
    const reply = preflight({ origins: '*' }, 'https://anywhere.example', asked)
    assert.deepEqual(lines(reply), {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
      'access-control-allow-headers': 'authorization,content-type',
      'access-control-max-age': '600',
      vary: PREFLIGHT_VARY,
    })
  })

  test('of another origin is refused without a word about what is allowed', () => {
    const reply = preflight({ origins: [SHOP], credentials: true }, 'https://evil.example')
    assert.equal(reply.status, 403)
    assert.equal(reply.code, 'cors_refused')
    const names = Object.keys(lines(reply))
    assert.deepEqual(
      names.filter((name) => name.startsWith('access-control')),
      [],
    )
    assert.equal(lines(reply).vary, PREFLIGHT_VARY)
  })

  test('of an origin that hides is answered only where every origin may call', () => {
    assert.equal(preflight({ origins: '*' }, 'null').status, 204)
    assert.equal(lines(preflight({ origins: '*' }, 'null'))['access-control-allow-origin'], '*')
    assert.equal(preflight({ origins: [SHOP], credentials: true }, 'null').status, 403)
  })

  test('with two origins is of none', () => {
    assert.equal(preflight({ origins: [SHOP] }, SHOP, [`Origin: ${SHOP}`]).status, 403)
  })

  test('is not to be remembered where that is said', () => {
    const reply = preflight({ origins: [SHOP], maxAge: '0s' }, SHOP)
    assert.equal(lines(reply)['access-control-max-age'], '0')
  })

  test('opens a private network only when told to and asked to', () => {
    const asked = ['Access-Control-Request-Private-Network: true']
    const name = 'access-control-allow-private-network'
    assert.equal(
      lines(preflight({ origins: [SHOP], privateNetwork: true }, SHOP, asked))[name],
      'true',
    )
    assert.equal(lines(preflight({ origins: [SHOP] }, SHOP, asked))[name], undefined)
    assert.equal(lines(preflight({ origins: [SHOP], privateNetwork: true }, SHOP))[name], undefined)
  })

  test('is an OPTIONS with an origin and a method; others go to the service', () => {
    const hooks = hooksOf(cors, { origins: [SHOP] })
    for (const [method, fields] of [
      ['OPTIONS', ['Origin: https://shop.example']],
      ['OPTIONS', ['Access-Control-Request-Method: PUT']],
      ['GET', ['Origin: https://shop.example', 'Access-Control-Request-Method: PUT']],
    ] as const) {
      assert.equal(hooks.onRequest!(testExchange({ method, fields })), undefined)
    }
  })
})

describe('a response', () => {
  test('may be read by an allowed origin, and says that it depends on it', () => {
    const header = shared({ origins: [SHOP], credentials: true, expose: ['x-request-id'] }, SHOP)
    assert.equal(header('access-control-allow-origin'), SHOP)
    assert.equal(header('access-control-allow-credentials'), 'true')
    assert.equal(header('access-control-expose-headers'), 'x-request-id')
    assert.equal(header('vary'), 'Origin')
  })

  for (const origin of ['https://evil.example', 'null', 'http://shop.example', null]) {
    test(`says nothing to ${origin}, whatever the service says, and still varies`, () => {
      const header = shared({ origins: [SHOP], credentials: true }, origin, [
        'Access-Control-Allow-Origin: *',
        'Access-Control-Allow-Credentials: true',
        'Access-Control-Expose-Headers: x-secret',
        'Vary: Accept-Encoding',
      ])
      assert.equal(header('access-control-allow-origin'), null)
      assert.equal(header('access-control-allow-credentials'), null)
      assert.equal(header('access-control-expose-headers'), null)
      assert.equal(header('vary'), 'Accept-Encoding, Origin')
    })
  }

  test('for every origin is the same for all, and not made looser by the service', () => {
    for (const origin of [null, 'https://anywhere.example']) {
      const header = shared({ origins: '*', expose: '*' }, origin, [
        'Access-Control-Allow-Origin: https://one.example',
        'Access-Control-Allow-Credentials: true',
      ])
      assert.equal(header('access-control-allow-origin'), '*')
      assert.equal(header('access-control-allow-credentials'), null)
      assert.equal(header('access-control-expose-headers'), '*')
      assert.equal(header('vary'), null)
    }
  })

  for (const vary of ['Origin', 'accept, ORIGIN', '*', 'Accept ,origin , X']) {
    test(`that varies by "${vary}" already is left as it is`, () => {
      assert.equal(shared({ origins: [SHOP] }, SHOP, [`Vary: ${vary}`])('vary'), vary)
    })
  }

  test('that varies by something of a similar name gets Origin as well', () => {
    const vary = shared({ origins: [SHOP] }, SHOP, ['Vary: X-Origin, Origin-Agent'])('vary')
    assert.equal(vary, 'X-Origin, Origin-Agent, Origin')
  })
})

describe('settings of cors that are refused', () => {
  for (const [settings, refusal] of [
    [{}, /^origins: /],
    [{ origins: [] }, /^origins: /],
    [{ origins: ['*'] }, /write `origins: "\*"`/],
    [{ origins: '*', credentials: true }, /^credentials: .*any page act as its visitor/],
    [{ origins: '*', privateNetwork: true }, /^privateNetwork: .*list the origins/],
    [{ origins: ['null'] }, /^origins/],
    [{ origins: [SHOP], methods: ['*'] }, /^methods\.0/],
    [{ origins: [SHOP], credentials: true, expose: '*' }, /^expose: .*list the headers/],
    [{ origins: [SHOP], methods: ['get'] }, /^methods\.0: expected a method in upper case/],
    [{ origins: [SHOP], headers: ['a b'] }, /^headers/],
    [{ origins: [SHOP], maxAge: 600 }, /^maxAge: expected a duration/],
  ] as const) {
    test(JSON.stringify(settings), () => assert.match(refusals(cors, settings).join('\n'), refusal))
  }
})
