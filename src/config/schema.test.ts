import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { definePolicy } from '../proxy/pipeline/policy.ts'
import { type Document, documentSchema } from './schema.ts'

const limit = definePolicy({
  name: 'limit',
  summary: 'Bounds something.',
  settings: z.strictObject({ max: z.int().default(5) }),
  examples: [{}],
  create: () => ({}),
})

function parse(written: object): Document {
  const context = {
    policies: [limit],
    names: ['small'],
    directory: '/etc/gatehouse',
    plugins: new Map(),
  }
  return documentSchema(context).parse({ listen: 'http://127.0.0.1:1', ...written })
}

function route(written: object) {
  return parse({ services: { a: 'http://127.0.0.1:1' }, routes: [written] }).routes[0]!
}

describe('the shortest configuration', () => {
  const document = parse({ routes: [{ to: 'http://127.0.0.1:4001' }] })

  test('has every default', () => {
    const limits = {
      targetBytesMax: 8192,
      headBytesMax: 32_768,
      headersMax: 100,
      bodyBytesMax: 1024 ** 3,
      headTimeoutMs: 10_000,
      bodyIdleTimeoutMs: 30_000,
      bodyBytesPerSecondMin: 240,
      bodyRateGraceMs: 10_000,
      keepAliveTimeoutMs: 75_000,
      requestsPerConnectionMax: 10_000,
    }
    assert.deepEqual(document, {
      listeners: [
        {
          scheme: 'http',
          host: '127.0.0.1',
          port: 1,
          tls: null,
          trustedProxies: [],
          trustedHeader: 'x-forwarded-for',
          proxyProtocol: null,
          limits,
        },
      ],
      limits: { ...limits, connectionsMax: 10_000, connectionsPerIpMax: 5_000, trailers: [] },
      consumers: [],
      state: { file: null },
      services: [
        {
          name: 'http://127.0.0.1:4001',
          endpoints: [{ host: '127.0.0.1', port: 4001, weight: 1, priority: 0, zone: null }],
          discover: null,
          identity: null,
          balance: 'p2c',
          sticky: null,
          timeouts: {
            connectMs: 5000,
            responseMs: 30_000,
            attemptMs: null,
            idleMs: 60_000,
            exchangeMs: null,
          },
          deadline: null,
          retries: {
            attemptsMax: 1,
            causes: 7,
            statuses: [502, 503, 504],
            methods: ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'],
            honoursIdempotencyKey: true,
            backoffBaseMs: 25,
            backoffMaxMs: 250,
            retryAfterMaxMs: 1000,
            bodyBytesMax: 65_536,
            sameEndpoint: false,
            budget: { share: 0.2, minPerSecond: 10 },
          },
          hedge: null,
          health: null,
          ejection: {
            failuresInRow: 5,
            failureRatio: 0.5,
            requestsMin: 20,
            windowMs: 10_000,
            timeMs: 10_000,
            timeMaxMs: 300_000,
            shareMax: 0.5,
          },
          panicBelow: 0.3,
          spillBelow: 0.7,
          slowStartMs: 0,
          breaker: null,
          concurrency: null,
          connections: { max: 1024, queueMax: 1024, queueTimeoutMs: 5000, idleTimeoutMs: 60_000 },
          tls: null,
          hostHeader: { kind: 'preserve', value: null },
          dns: { minTtlMs: 1000, maxTtlMs: 300_000 },
          required: false,
        },
      ],
      plugins: [],
      use: [],
      routes: [
        {
          id: '/*',
          match: {
            hosts: [],
            path: null,
            methods: [],
            headers: [],
            query: [],
            clientIps: [],
            priority: 0,
          },
          importance: 'normal',
          use: [],
          encodedSlash: 'keep',
          allowDoubleSlash: false,
          allowEncodedPercent: false,
          target: {
            kind: 'forward',
            services: [{ service: 'http://127.0.0.1:4001', weight: 1 }],
            sticky: null,
            mirror: null,
            rewrite: null,
            timeouts: { attemptMs: null, responseMs: null, idleMs: null, exchangeMs: null },
            retries: null,
            upgrade: ['websocket'],
          },
        },
      ],
      via: 'gatehouse',
      forwarded: { xForwarded: true, forwarded: false },
      admin: { host: '127.0.0.1', port: 9901 },
      zone: null,
      threads: 'auto',
      threadHeap: 'auto',
      overload: {
        loopDelayMs: 200,
        memoryShare: 0.85,
        memoryBytesMax: null,
        heapShare: 0.85,
        connectionsShare: 0.9,
      },
      drain: { delayMs: 0, idleMs: 5000, spreadMs: 20_000, timeoutMs: 30_000 },
      log: { level: 'info' },
      secrets: [],
    })
  })

  test('is data that JSON can hold', () => {
    assert.deepEqual(JSON.parse(JSON.stringify(document)), document)
  })
})

describe('shorthands', () => {
  test('listeners: one or several, each with the limits it has', () => {
    const { listeners } = parse({
      listen: [
        'http://[::1]:8080',
        { url: 'HTTP://Localhost', trustedProxies: ['10.0.0.0/8'], limits: { headers: 5 } },
      ],
      limits: { headers: 7, bodyBytes: '1kb' },
      routes: [{ respond: {} }],
    })
    assert.deepEqual(
      listeners.map(({ host, port, limits }) => [
        host,
        port,
        limits.headersMax,
        limits.bodyBytesMax,
      ]),
      [
        ['::1', 8080, 7, 1024],
        ['localhost', 80, 5, 1024],
      ],
    )
  })

  test('paths of files start at the directory of the configuration', () => {
    const { listeners, services } = parse({
      listen: {
        url: 'https://127.0.0.1:1',
        tls: { certificates: { cert: 'a.crt', key: '/keys/a.key' }, minVersion: 1.3 },
      },
      services: { s: { url: 'https://a.example', tls: { ca: '../ca.crt' } } },
      routes: [{ to: 's' }],
    })
    assert.deepEqual(listeners[0]!.tls, {
      certificates: [{ cert: '/etc/gatehouse/a.crt', key: '/keys/a.key', hosts: [] }],
      minVersion: '1.3',
      clientCa: null,
    })
    assert.equal(services[0]!.tls!.ca, '/etc/ca.crt')
  })

  test('conditions on the route and under `match` become the same', () => {
    const conditions = {
      host: 'Shop.Example',
      path: '/a',
      methods: 'GET',
      headers: { 'X-A': 'v', b: { prefix: 'p' }, c: { regex: 'r' } },
      query: { q: { present: true }, r: { absent: true } },
      clientIp: '::1',
    }
    const match = {
      hosts: ['shop.example'],
      path: '/a',
      methods: ['GET'],
      headers: [
        { name: 'x-a', kind: 'exact', value: 'v' },
        { name: 'b', kind: 'prefix', value: 'p' },
        { name: 'c', kind: 'regex', value: 'r' },
      ],
      query: [
        { name: 'q', kind: 'present', value: '' },
        { name: 'r', kind: 'absent', value: '' },
      ],
      clientIps: ['::1'],
      priority: 0,
    }
    assert.deepEqual(route({ ...conditions, to: 'a' }).match, match)
    assert.deepEqual(route({ match: conditions, to: 'a' }).match, match)
  })

  test('stripping a prefix is putting nothing in its place', () => {
    const rewrite = (written: object) => {
      const { target } = route({ path: '/a/*', to: 'a', rewrite: written })
      return target.kind === 'forward' ? target.rewrite : null
    }
    assert.deepEqual(rewrite({ stripPrefix: true }), { prefix: '', path: null, host: null })
    assert.deepEqual(rewrite({ prefix: '/x/' }), { prefix: '/x', path: null, host: null })
    assert.deepEqual(rewrite({ path: '/{id}', host: 'h' }), {
      prefix: null,
      path: '/{id}',
      host: 'h',
    })
  })

  test('fixed answers say what they hold, unless the configuration does', () => {
    const headers = (respond: object) => {
      const { target } = route({ respond })
      return target.kind === 'respond' ? [target.body, target.headers] : null
    }
    const json = { name: 'Content-Type', value: 'application/json' }
    const text = { name: 'Content-Type', value: 'text/plain; charset=utf-8' }
    assert.deepEqual(headers({ json: [1] }), ['[1]', [json]])
    assert.deepEqual(headers({ body: 'x' }), ['x', [text]])
    assert.deepEqual(headers({ status: 204 }), ['', []])
    const own = { 'content-type': 'text/html' }
    assert.deepEqual(headers({ body: 'x', headers: own }), [
      'x',
      [{ name: 'content-type', value: 'text/html' }],
    ])
  })

  test('a service written as a URL in several routes is one service', () => {
    const { services } = parse({
      routes: [
        { path: '/a', to: 'http://127.0.0.1:9' },
        { path: '/b', to: [{ service: 'http://127.0.0.1:9' }] },
      ],
    })
    assert.deepEqual(
      services.map(({ name }) => name),
      ['http://127.0.0.1:9'],
    )
  })
})

describe('uses of policies', () => {
  const uses = (written: object) => parse({ routes: [{ respond: {} }], ...written })

  test('by name, by settings, and with nothing behind the name', () => {
    const stage = { policy: 'limit', when: null, mode: 'enforce' }
    const { use } = uses({ use: ['limit', { limit: { max: 2 } }, { limit: null }] })
    assert.deepEqual(use, [
      { ...stage, settings: { max: 5 }, id: 'limit' },
      { ...stage, settings: { max: 2 }, id: 'limit-2' },
      { ...stage, settings: { max: 5 }, id: 'limit-3' },
    ])
  })

  test('a named one stands for what it names, under its own name', () => {
    const { routes } = uses({
      policies: { small: { limit: { max: 1 }, when: 'true', mode: 'shadow' } },
      use: ['limit'],
      routes: [{ use: ['small', 'limit', { limit: {}, id: 'mine' }], respond: {} }],
    })
    assert.deepEqual(routes[0]!.use, [
      { policy: 'limit', settings: { max: 1 }, when: 'true', mode: 'shadow', id: 'small' },
      // The first `limit` runs on every route, before these.
      { policy: 'limit', settings: { max: 5 }, when: null, mode: 'enforce', id: 'limit-2' },
      { policy: 'limit', settings: { max: 5 }, when: null, mode: 'enforce', id: 'mine' },
    ])
  })

  test('settings that JSON could not hold are refused', () => {
    const pattern = definePolicy({
      name: 'pattern',
      summary: '',
      settings: z.strictObject({ of: z.string().transform((text) => new RegExp(text)) }),
      examples: [],
      create: () => ({}),
    })
    const schema = documentSchema({
      policies: [pattern],
      names: [],
      directory: '/',
      plugins: new Map(),
    })
    const result = schema.safeParse({
      listen: 'http://127.0.0.1:1',
      use: [{ pattern: { of: 'x' } }],
      routes: [{ respond: {} }],
    })
    assert.match(result.error!.issues[0]!.message, /an instance of RegExp at pattern\.of/)
  })
})

test('routes without an id get one from what they match, each its own', () => {
  const { routes } = parse({
    routes: [
      { path: '/a', respond: {} },
      { path: '/a', methods: ['GET', 'PUT'], respond: {} },
      { host: 'h', path: '/a', respond: {} },
      { path: '/a', priority: 1, respond: {} },
      { id: '/a#3', path: '/b', respond: {} },
      { path: '/a', priority: 2, respond: {} },
    ],
  })
  const ids = routes.map(({ id }) => id)
  assert.deepEqual(ids, ['/a', 'GET,PUT:/a', 'h/a', '/a#2', '/a#3', '/a#4'])
})
