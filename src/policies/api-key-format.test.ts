import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { apiKeyHash, createApiKey, hasChecksum } from './api-key-format.ts'

describe('the form of API keys', () => {
  test('a key has a prefix, 256 random bits and a checksum that fits', () => {
    const keys = Array.from({ length: 200 }, () => createApiKey('gh'))
    for (const key of keys) {
      assert.match(key, /^gh_[0-9A-Za-z]{49}$/)
      assert.ok(hasChecksum(key, 'gh'))
    }
    assert.equal(new Set(keys).size, 200)
  })

  test('a single changed, missing or exchanged character is noticed', () => {
    const key = createApiKey('shop')
    for (let at = 5; at < key.length; at++) {
      const other = key[at] === 'x' ? 'y' : 'x'
      assert.equal(hasChecksum(key.slice(0, at) + other + key.slice(at + 1), 'shop'), false)
    }
    assert.equal(hasChecksum(key.slice(0, -1), 'shop'), false)
    assert.equal(hasChecksum(`${key}0`, 'shop'), false)
  })

  test('a key at rest is what sha256sum prints', () => {
    const hash = Buffer.from(apiKeyHash('abc'), 'base64url').toString('hex')
    assert.equal(hash, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })
})
