import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OriginSet, originProblem } from './origins.ts'

const SHOP = 'https://shop.example'

describe('origins', () => {
  const origins = new OriginSet([SHOP, 'https://*.wild.example', 'http://*.dev.example:8080'])
  for (const origin of [
    SHOP,
    'https://a.wild.example',
    'https://a.b-1.wild.example',
    'http://x.dev.example:8080',
  ]) {
    test(`${origin} is allowed`, () => assert.equal(origins.has(origin), true))
  }
  for (const origin of [
    'https://shop.example.evil.com',
    'https://shop.example:8443',
    'http://shop.example',
    'https://SHOP.example',
    'https://wild.example',
    'https://.wild.example',
    'https://a..wild.example',
    'https://evil.com/.wild.example',
    'https://evil.com?.wild.example',
    'https://evil.com#.wild.example',
    'https://evil.com:1.wild.example',
    'https://user@x.wild.example',
    'http://a.wild.example',
    'https://xwild.example',
    'http://x.dev.example',
    'null',
    '',
    '*',
  ]) {
    test(`${JSON.stringify(origin)} is not`, () => assert.equal(origins.has(origin), false))
  }

  for (const [written, problem] of [
    ['https://shop.example/', /expected an origin/],
    ['https://Shop.example', /expected an origin/],
    ['shop.example', /expected an origin/],
    ['https://*', /expected an origin/],
    ['https://a.*.example', /expected an origin/],
    ['https://shop.*', /expected an origin/],
    ['null', /expected an origin/],
    [
      'https://shop.example:443',
      /browsers leave out the default port: write "https:\/\/shop.example"/,
    ],
    ['http://*.shop.example:80', /write "http:\/\/\*.shop.example"/],
  ] as const) {
    test(`${written} cannot be written`, () => assert.match(originProblem(written)!, problem))
  }

  for (const written of [
    'http://localhost:3000',
    'http://127.0.0.1',
    'http://[::1]:8080',
    'app://shop',
    'https://*.a.b-c.example:8443',
  ]) {
    test(`${written} can be written`, () => assert.equal(originProblem(written), null))
  }
})
