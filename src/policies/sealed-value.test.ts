import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Seal } from './sealed-value.ts'

const OLD = 'the old secret, which is long enough'
const NEW = 'the new secret, which is long enough'

describe('sealed values', () => {
  test('open to what they were, and never look alike', () => {
    const seal = new Seal([NEW], 'session')
    for (const text of ['', 'a', 'zoë 🙂', 'x'.repeat(10_000)]) {
      const sealed = seal.seal(text)
      assert.match(sealed, /^[\w-]+$/)
      assert.notEqual(sealed, seal.seal(text))
      assert.equal(seal.open(sealed), text)
    }
  })

  test('do not open when a single bit differs, or the end is missing', () => {
    const seal = new Seal([NEW], 'session')
    const bytes = Buffer.from(seal.seal('ann'), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(seal.open(changed.toString('base64url')), null, `bit ${bit}`)
    }
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(seal.open(bytes.subarray(0, length).toString('base64url')), null)
    }
  })

  test('open neither with another secret nor for another purpose', () => {
    const sealed = new Seal([NEW], 'session').seal('ann')
    assert.equal(new Seal([OLD], 'session').open(sealed), null)
    assert.equal(new Seal([NEW], 'login').open(sealed), null)
  })

  test('outlive a change of the secret, as long as the old one is listed', () => {
    const sealed = new Seal([OLD], 'session').seal('ann')
    const both = new Seal([NEW, OLD], 'session')
    assert.equal(both.open(sealed), 'ann')
    assert.equal(new Seal([NEW], 'session').open(both.seal('bob')), 'bob')
    assert.throws(() => new Seal([], 'session'), /secret is needed/)
  })

  test('are no garbage', () => {
    const seal = new Seal([NEW], 'session')
    for (const text of ['', '.', 'AQ', '%%%', 'A'.repeat(5_000)])
      assert.equal(seal.open(text), null)
  })
})
