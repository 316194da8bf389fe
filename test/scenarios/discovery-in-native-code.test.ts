// A module that finds endpoints and sits in native code: no process outlives its end because of it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAlive } from '../../scripts/process-tree.ts'
import { BlockingPipe } from '../../src/control/process/blocking-pipe.test-support.ts'
import {
  childrenOf,
  fetchText,
  RunningGateway,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from '../support/changes.ts'

/** Long before the drain of ten minutes is over, and enough for a busy machine. */
const PATIENCE_MS = 45_000

const MODULE = (pipe: string) => `
import { readFileSync, writeSync } from 'node:fs'
import { z } from '${import.meta.resolve('zod')}'
export default {
  settings: z.strictObject({}),
  watch(settings, { publish }) {
    publish(['http://127.0.0.1:9'])
    setTimeout(() => {
      writeSync(2, 'discovery begins to wait\\n')
      readFileSync(${JSON.stringify(pipe)})
    }, 200)
  },
}
`

async function withStuckDiscovery(
  run: (gateway: RunningGateway, child: number) => Promise<void>,
): Promise<void> {
  const pipe = new BlockingPipe()
  const gateway = new RunningGateway({
    isReal: true,
    configuration: `
listen: http://127.0.0.1:0
drain: { timeout: 10m }
services: { s: { discover: { module: ./stuck.mjs } } }
routes: [{ path: /s, to: s }, { path: /*, respond: { body: hello } }]
`,
    files: { 'stuck.mjs': MODULE(pipe.path) },
  })
  let child: number | null = null
  try {
    await gateway.said(/\d+ threads?, /, 0, PATIENCE_MS)
    await gateway.said(/discovery begins to wait/)
    child = childrenOf(gateway.pid)[0]!
    assert.equal(await fetchText(gateway.port, '/'), '200 hello')
    await run(gateway, child)
  } finally {
    if (child !== null && isAlive(child)) process.kill(child, 'SIGKILL')
    await gateway.stop()
    pipe.remove()
  }
}

const gone = (pid: number): Promise<void> =>
  eventually(
    () => !isAlive(pid),
    () => 'the gateway process to end',
    PATIENCE_MS,
  )

test('a gateway that is told to end does not wait for it', () =>
  withStuckDiscovery(async (gateway, child) => {
    gateway.signal('SIGTERM')
    await gone(child)
    assert.equal(await gateway.exited, 0)
  }))

test('a gateway process without a parent does not outlive it', () =>
  withStuckDiscovery(async (gateway, child) => {
    gateway.signal('SIGKILL')
    await gone(child)
  }))
