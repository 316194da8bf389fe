import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import { VerificationKey } from './key-set.ts'
import { RememberedTokens } from './remembered-tokens.ts'
import { VerifiedToken } from './token-verifier.ts'

const identity = { consumer: { id: 'ada', groups: [], claims: {} }, forwarded: [] }
const times = { startsAtMs: 0, endsAtMs: 1 }

function key(): VerificationKey {
  return new VerificationKey(createSecretKey(Buffer.alloc(32)), null, ['HS256'])
}

function verified(bytes: number, by = key()): VerifiedToken {
  return new VerifiedToken(identity, by, times, null, bytes)
}

test('holds no more bytes than it may, whatever comes', () => {
  const tokens = new RememberedTokens(10_000)
  for (let index = 0; index < 5_000; index++) {
    tokens.add(`t${index % 3_000}`, verified(100 + (index % 700)))
    assert.ok(tokens.bytes <= 10_000)
  }
  assert.ok(tokens.size > 10)
  tokens.add('huge', verified(10_001))
  assert.equal(tokens.find('huge'), null)
})

test('what is used stays longer than what is not', () => {
  const tokens = new RememberedTokens(1_000)
  const used = verified(100)
  tokens.add('used', used)
  for (let index = 0; index < 100; index++) {
    tokens.add(`once ${index}`, verified(100))
    assert.equal(tokens.find('used'), used)
  }
  assert.equal(tokens.find('once 0'), null)
  assert.ok(tokens.size === 9 || tokens.size === 10, `${tokens.size} of 100 bytes in 1000`)
})

test('tokens go with their key', () => {
  const tokens = new RememberedTokens(1_000)
  const gone = key()
  tokens.add('a', verified(100, gone))
  tokens.add('b', verified(100))
  gone.isCurrent = false
  assert.equal(tokens.find('a'), null)
  assert.notEqual(tokens.find('b'), null)
  assert.equal(tokens.bytes, 100)
})

test('with no room nothing is remembered', () => {
  const tokens = new RememberedTokens(0)
  tokens.add('a', verified(100))
  assert.equal(tokens.find('a'), null)
  assert.equal(tokens.bytes, 0)
})
