import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { closest, didYouMean } from './closest.ts'

const NAMES = ['path', 'host', 'headers', 'methods', 'timeout']

describe('the closest name', () => {
  for (const [written, meant] of [
    ['pth', 'path'],
    ['hots', 'host'],
    ['header', 'headers'],
    ['Timeout', 'timeout'],
    ['tiemout', 'timeout'],
    ['colour', null],
    ['', null],
    ['x'.repeat(1000), null],
  ] as const) {
    test(`for "${written.slice(0, 10)}" is ${meant}`, () => {
      assert.equal(closest(written, NAMES), meant)
    })
  }

  test('becomes the end of a sentence', () => {
    assert.equal(didYouMean('hst', NAMES), '; did you mean "host"?')
    assert.equal(didYouMean('colour', NAMES), '')
  })
})
