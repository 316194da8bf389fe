// What a client sends under the name of an identity field is gone, however it spells it; and nothing
// else is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { propertyOptions } from '../../../test/support/property.ts'
import { HOP_FIELDS, passedFields } from './compose-head.ts'
import { IdentityFields } from './identity-fields.ts'
import { TEST_LIMITS } from './limits.test-support.ts'
import type { RequestHead } from './message-head.ts'
import { parseRequestHead } from './parse-head.ts'

const NAMES = ['X-User', 'X-Consumer-Groups', 'x_tenant', 'Sub', 'X-2fa-Level']

function headWith(...lines: string[]): RequestHead {
  const raw = `${['GET / HTTP/1.1', 'Host: a', ...lines].join('\r\n')}\r\n\r\n`
  const head = parseRequestHead(raw, TEST_LIMITS)
  assert.ok(typeof head !== 'string', `${head}`)
  return head
}

/** The lines that would reach the service. */
function passed(...lines: string[]): string[] {
  const head = headWith(...lines)
  new IdentityFields(NAMES).removeFrom(head)
  return passedFields(head, HOP_FIELDS, null).split('\r\n').filter(Boolean)
}

test('every line of them is gone, from the front, the middle and the end', () => {
  assert.deepEqual(passed('X-User: a', 'Accept: b', 'x-user: c', 'Age: d', 'X_USER: e'), [
    'Host: a',
    'Accept: b',
    'Age: d',
  ])
  assert.deepEqual(passed('X-User:', 'X-User: '), ['Host: a'])
})

test('a request without any goes through untouched', () => {
  const lines = ['X-Username: a', 'X-Use: b', 'XX-User: c', 'X-Users: d', 'X--User: e', 'XUser: f']
  assert.deepEqual(passed(...lines), ['Host: a', ...lines])
})

test('only what is neither letter nor digit stands for a dash', () => {
  const lines = [
    'X-Uzer: a',
    'X1User: b',
    'XzUser: c',
    'X-2faxLevel: d',
    'S5b: e',
    'X-rfa-Level: f',
  ]
  assert.deepEqual(passed(...lines), ['Host: a', ...lines])
  assert.deepEqual(passed('x-2FA.level: a', 'SUB: b', 'X~User: c'), ['Host: a'])
})

test('nobody sees them: not as a field, not counted, not among many of that name', () => {
  const head = headWith('X-User: a', 'x_user: b')
  new IdentityFields(NAMES).removeFrom(head)
  for (const name of ['x-user', 'x_user']) {
    assert.equal(head.field(name), null)
    assert.equal(head.count(name), 0)
  }
})

test('what says how a message is read stays, whatever a policy calls an identity field', () => {
  const names = ['Content-Length', 'Transfer-Encoding', 'Host', 'Connection', 'Expect', 'Via']
  const head = headWith('Content-Length: 5', 'Via: 1.1 a', 'Connection: close')
  new IdentityFields(names).removeFrom(head)
  assert.deepEqual(passedFields(head, HOP_FIELDS, null).split('\r\n').filter(Boolean), [
    'Host: a',
    'Content-Length: 5',
    'Via: 1.1 a',
  ])
})

test('Connection may not name one, in any spelling', () => {
  const fields = new IdentityFields(NAMES)
  for (const option of ['X-User', 'x_user', 'close, X-USER', 'keep-alive, x.user', 'sub']) {
    assert.ok(fields.isNamedByConnection(headWith(`Connection: ${option}`)), option)
  }
  for (const option of ['close', 'x-users', 'upgrade', 'keep-alive', 'x']) {
    assert.ok(!fields.isNamedByConnection(headWith(`Connection: ${option}`)), option)
  }
})

test('no spelling passes, wherever it stands among whatever else', () => {
  const separators = "!#$%&'*+-.^_`|~".split('')
  const spelling = fc
    .constantFrom(...NAMES)
    .chain((name) =>
      fc
        .tuple(
          ...name
            .split('')
            .map((char) =>
              /[a-z0-9]/i.test(char)
                ? fc.constantFrom(char.toLowerCase(), char.toUpperCase())
                : fc.constantFrom(...separators),
            ),
        )
        .map((chars) => chars.join('')),
    )
  const other = fc.constantFrom('Accept', 'X-Users', 'Cookie', 'X-Us', 'Authorization', 'X-Real-IP')
  const line = fc
    .tuple(fc.oneof(spelling, other), fc.constantFrom('', 'admin', '  root '))
    .map(([name, value]) => `${name}:${value}`)
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), (lines) => {
      const kept = lines.filter((text) =>
        ['Accept', 'X-Users', 'Cookie', 'X-Us', 'Authorization', 'X-Real-IP'].includes(
          text.slice(0, text.indexOf(':')),
        ),
      )
      assert.deepEqual(
        passed(...lines).map((text) => text.trim()),
        ['Host: a', ...kept].map((text) => text.trim()),
      )
    }),
    propertyOptions(500),
  )
})
