import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_GRACE } from '../../gateway/drain.ts'
import { Parent } from './parent.ts'
import type { CheckedDocument } from './parent-protocol.ts'

const DOCUMENT: CheckedDocument = {
  json: '{}',
  needs: [],
  drain: { ...NO_GRACE, timeoutMs: 1_000 },
}

function parentOf(entry: string, said: string[], startTimeoutMs = 10_000): Parent {
  return new Parent(DOCUMENT, {
    entry: new URL(entry, import.meta.url),
    file: 'none.yaml',
    threads: 1,
    watch: false,
    startTimeoutMs,
    backoff: { firstMs: 1, maxMs: 1 },
    onReady: (_, first) => said.push(first ? 'ready' : 'again'),
    report: (line) => said.push(line),
  })
}

test('a gateway that crashes again and again is given up after ten restarts', async () => {
  const said: string[] = []
  assert.equal(await parentOf('./crashing.test-support.ts', said).run(), 1)
  assert.equal(said.filter((line) => line === 'again').length, 10)
  assert.equal(said[1], 'the gateway process ended unexpectedly (exit code 3)')
  assert.equal(said.at(-1), 'giving up after 10 restarts in a row')
})

test('one that cannot start the first time is not tried again', async () => {
  const said: string[] = []
  // This module runs to its end at once.
  await assert.rejects(parentOf('./backoff.ts', said).run(), /exit code 0/)
  assert.deepEqual(said, [])
})

test('one that never gets ready is ended', async () => {
  // This module hears messages and answers none.
  await assert.rejects(
    parentOf('./silent.test-support.ts', [], 200).run(),
    /not ready within 200 ms/,
  )
})

test('stopping during the start ends it in good order', async () => {
  const parent = parentOf('./silent.test-support.ts', [])
  const running = parent.run()
  parent.stop(NO_GRACE)
  assert.equal(await running, 0)
})
