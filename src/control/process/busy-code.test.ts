import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { BlockingPipe } from './blocking-pipe.test-support.ts'
import { busyCode } from './busy-code.ts'

/** Says that it is up, and does not come back. */
async function busyCodeOf(code: string): Promise<string | null> {
  const thread = new Worker(
    `const { parentPort } = require('node:worker_threads')\nparentPort.postMessage('up')\n${code}`,
    { eval: true },
  )
  try {
    await new Promise((resolve) => thread.once('message', resolve))
    return await busyCode(thread)
  } finally {
    await thread.terminate()
  }
}

test('an endless regular expression is found in its function, by line', async () => {
  const code = `
function greedy() {
  return /^(a+)+$/.test('a'.repeat(80) + 'b')
}
setImmediate(function later() { greedy() })`
  assert.equal(await busyCodeOf(code), 'greedy ([worker eval]:5)')
})

test('native code lets nobody in', async () => {
  const pipe = new BlockingPipe()
  const code = `require('node:fs').readFileSync(${JSON.stringify(pipe.path)})`
  const thread = new Worker(
    `require('node:worker_threads').parentPort.postMessage('up')\n${code}`,
    { eval: true },
  )
  await new Promise((resolve) => thread.once('message', resolve))
  assert.equal(await busyCode(thread), null)
  pipe.release()
  await thread.terminate()
})

test('a thread that has ended tells nothing', async () => {
  const thread = new Worker('', { eval: true })
  await new Promise((resolve) => thread.once('exit', resolve))
  assert.equal(await busyCode(thread), null)
})
