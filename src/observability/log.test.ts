import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { createLog } from './log.ts'
import {
  allocateLogPending,
  batchTaken,
  forgetPending,
  type LogBatch,
  LogBatcher,
} from './log-batcher.ts'
import { LogWriter } from './log-writer.ts'

describe('a log', () => {
  function linesOf(level: Parameters<typeof createLog>[1]) {
    const lines: string[] = []
    return { lines, log: createLog({ line: (json) => lines.push(json) }, level) }
  }

  test('writes objects with level, time, fields and message', () => {
    const { lines, log } = linesOf('info')
    log.child({ route: 'orders' }).warn({ code: 'x', text: 'a"b\nc' }, 'it happened')
    assert.equal(lines.length, 1)
    const { time, ...rest } = JSON.parse(lines[0]!)
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000)
    assert.deepEqual(rest, {
      level: 'warn',
      route: 'orders',
      code: 'x',
      text: 'a"b\nc',
      message: 'it happened',
    })
  })

  test('leaves out what is less important than its level, but no ready line', () => {
    const { lines, log } = linesOf('error')
    log.info({}, 'no')
    log.warn({}, 'no')
    log.error({ error: new Error('broken') }, 'yes')
    log.line('{"ready":true}')
    assert.equal(lines.length, 2)
    assert.equal(JSON.parse(lines[0]!).error.message, 'broken')
    assert.equal(lines[1], '{"ready":true}')
  })

  test('survives whatever it is given', () => {
    const { lines, log } = linesOf('debug')
    const loop: Record<string, unknown> = { big: 10n }
    loop.self = loop
    log.debug({ loop }, 'a loop')
    assert.equal(JSON.parse(lines[0]!).message, 'a loop')
  })
})

describe('a batcher', () => {
  function batcher(options: { pendingMax?: number } = {}) {
    const posted: LogBatch[] = []
    const pending = allocateLogPending(2)
    const state = { dropped: 0 }
    const made = new LogBatcher({
      post: (batch) => posted.push(batch),
      pending,
      index: 1,
      onDropped: (lines) => {
        state.dropped += lines
      },
      ...options,
    })
    return { posted, pending, state, batcher: made }
  }

  test('posts whole lines together, soon, and when there are many', async () => {
    const { posted, batcher: lines } = batcher()
    lines.line('{"a":1}')
    lines.line('{"b":2}')
    assert.equal(posted.length, 0)
    while (posted.length === 0) await turn()
    assert.deepEqual(posted[0], { text: '{"a":1}\n{"b":2}\n', lines: 2 })
    const long = 'x'.repeat(24_000)
    for (let count = 0; count < 3; count++) lines.line(long)
    assert.equal(posted.length, 2)
    assert.equal(posted[1]!.lines, 3)
    lines.line('last')
    lines.close()
    assert.deepEqual(posted[2], { text: 'last\n', lines: 1 })
  })

  test('drops whole lines when too much is on its way, and goes on when that was taken', () => {
    const { posted, pending, state, batcher: lines } = batcher({ pendingMax: 100 })
    for (let count = 0; count < 5; count++) lines.line('x'.repeat(29))
    lines.flush()
    assert.equal(state.dropped, 2)
    lines.line('y'.repeat(29))
    assert.equal(state.dropped, 3)
    batchTaken(pending, 1, posted[0]!)
    lines.line('z'.repeat(29))
    lines.close()
    assert.equal(state.dropped, 3)
    assert.deepEqual(
      posted.map((batch) => batch.lines),
      [3, 1],
    )
    assert.equal(pending[0], 0)
  })

  test('in a thread hands every line over once, in order', async () => {
    const pending = allocateLogPending(1)
    const script = `
      const { workerData, parentPort } = require('node:worker_threads')
      import(workerData.module).then(({ LogBatcher }) => {
        const batcher = new LogBatcher({ post: (batch) => parentPort.postMessage(batch), pending: workerData.pending, index: 0 })
        for (let i = 0; i < 5000; i++) batcher.line(JSON.stringify({ i }))
        batcher.close()
        parentPort.postMessage(null)
      })`
    const module = new URL('./log-batcher.ts', import.meta.url).href
    const thread = new Worker(script, { eval: true, workerData: { module, pending } })
    let text = ''
    let batches = 0
    for (;;) {
      const [batch] = (await once(thread, 'message')) as [LogBatch | null]
      if (batch === null) break
      text += batch.text
      batches++
      batchTaken(pending, 0, batch)
    }
    await thread.terminate()
    const numbers = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).i as number)
    assert.deepEqual(
      numbers,
      Array.from({ length: 5_000 }, (_, index) => index),
    )
    assert.ok(batches < 50)
    assert.equal(pending[0], 0)
  })

  test('of a thread that died leaves nothing behind', () => {
    const { pending, batcher: lines } = batcher()
    lines.line('x')
    lines.close()
    assert.notEqual(pending[1], 0)
    forgetPending(pending, 1)
    assert.equal(pending[1], 0)
  })
})

describe('a writer', () => {
  test('drops and counts whole batches past its bound', () => {
    const written: string[] = []
    let release: (() => void) | null = null
    const stuck = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        written.push(chunk)
        release = done
      },
    })
    let dropped = 0
    const writer = new LogWriter(stuck, {
      waitingBytesMax: 25,
      onDropped: (lines) => (dropped += lines),
    })
    writer.write('123456789\n123456789\n', 2)
    writer.write('123456789\n', 1)
    assert.equal(dropped, 1)
    writer.line('1234')
    assert.equal(dropped, 1)
    release!()
    assert.deepEqual(written, ['123456789\n123456789\n', '1234\n'])
  })

  test('goes on without a log when the reader has gone', async () => {
    const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) })
    let dropped = 0
    const writer = new LogWriter(gone, { onDropped: (lines) => (dropped += lines) })
    writer.line('a')
    await turn()
    writer.line('b')
    writer.line('c')
    assert.equal(dropped, 2)
    await writer.close(10_000)
  })

  const script = `
    const { LogWriter, standardOutput } = await import(process.env.WRITER)
    let dropped = 0
    const writer = new LogWriter(standardOutput(), { waitingBytesMax: 2_000_000, onDropped: (lines) => { dropped += lines } })
    const line = 'x'.repeat(999)
    for (let i = 0; i < 5000; i++) writer.line(line)
    process.send('written', () => {
      process.once('message', async (timeoutMs) => {
        await writer.close(timeoutMs)
        process.send(dropped, () => process.exit(0))
      })
    })`

  function start(stdout: 'pipe' | number): ChildProcess {
    const WRITER = new URL('./log-writer.ts', import.meta.url).href
    return spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', stdout, 'inherit', 'ipc'],
      env: { ...process.env, WRITER },
    })
  }

  test('whose reader is stuck neither waits for it nor keeps the process from ending', async () => {
    const child = start('pipe')
    // Nobody reads child.stdout.
    assert.deepEqual((await once(child, 'message'))[0], 'written')
    child.send(100)
    const [dropped] = await once(child, 'message')
    assert.ok(dropped > 0 && dropped < 5_000)
    const [code] = await once(child, 'exit')
    assert.equal(code, 0)
    child.stdout!.destroy()
  })

  test('writes everything to a reader that reads', async () => {
    const child = start('pipe')
    let length = 0
    child.stdout!.on('data', (chunk: Buffer) => {
      length += chunk.length
    })
    await once(child, 'message')
    child.send(20_000)
    const [dropped] = await once(child, 'message')
    await once(child, 'close')
    assert.equal(length, (5_000 - dropped) * 1_000)
  })

  test('writes whole lines to a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-log-'))
    try {
      const file = join(folder, 'log')
      const descriptor = openSync(file, 'w')
      const child = start(descriptor)
      closeSync(descriptor)
      await once(child, 'message')
      child.send(20_000)
      const [dropped] = await once(child, 'message')
      await once(child, 'exit')
      const lines = readFileSync(file, 'utf8').split('\n')
      assert.equal(lines.pop(), '')
      assert.equal(lines.length, 5_000 - dropped)
      assert.ok(lines.every((line) => line.length === 999))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
