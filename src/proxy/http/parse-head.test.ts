// Field values of every length: which bytes they may hold does not depend on how long they are.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TEST_LIMITS } from './limits.test-support.ts'
import { parseRequestHead } from './parse-head.ts'

const LENGTHS = [1, 2, 46, 47, 48, 49, 50, 96, 97, 500]

function parse(value: string) {
  return parseRequestHead(
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${value}\r\nY: last\r\n\r\n`,
    TEST_LIMITS,
  )
}

test('a value may hold every visible byte, space, tab and obs-text, and is read whole', () => {
  for (const length of LENGTHS) {
    for (const inside of ['a', '\xff', '\x80', 'a\tb', 'a b', ',', ':']) {
      const value = `${'v'.repeat(length)}${inside}${'w'.repeat(length)}`
      const head = parse(value)
      if (typeof head === 'string') assert.fail(`${head} for ${JSON.stringify(value)}`)
      assert.equal(head.field('x'), value)
      assert.equal(head.field('y'), 'last')
    }
    const blanks = parse(`${' '.repeat(length)}v${'\t '.repeat(length)}`)
    assert.equal(typeof blanks === 'string' ? blanks : blanks.field('x'), 'v')
  }
})

test('and no other byte, wherever it stands', () => {
  const bad = ['\x00', '\x08', '\x0a', '\x0b', '\x0d', '\x0e', '\x1f', '\x7f', '\r', '\n', '\r\n ']
  for (const length of LENGTHS) {
    for (const before of [0, length >> 1, length]) {
      for (const inside of bad) {
        const value = `${'v'.repeat(before)}${inside}${'w'.repeat(length - before)}`
        assert.equal(typeof parse(value), 'string', JSON.stringify(value))
      }
    }
  }
})
