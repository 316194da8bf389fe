// A gateway in processes of its own whose only policy can break its thread in every way there is, and
// clients that know which thread they talk to.
import http from 'node:http'
import {
  childrenOf,
  RunningGateway,
} from '../../src/control/process/running-gateway.test-support.ts'
import { eventually } from './changes.ts'

/** Every way in which the policy can break its thread; `slow` only holds it for a second and a half. */
export type Fault = 'throw' | 'heap' | 'loop' | 'regex' | 'wait' | 'native' | 'slow'

const policyUrl = new URL('../../src/proxy/pipeline/policy.ts', import.meta.url).href
const POLICY = (pipe: string) => `
import { readFileSync, writeSync } from 'node:fs'
import { threadId } from 'node:worker_threads'
import { definePolicy } from '${policyUrl}'
import { z } from '${import.meta.resolve('zod')}'

const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
const faults = {
  // What comes in the meantime is in the queue when it throws, which is before the loop turns again.
  throw() {
    sleep(400)
    process.nextTick(() => { throw new Error('thrown on purpose') })
    return new Promise(() => {})
  },
  heap() { const hoard = []; for (;;) hoard.push({ text: 'text ' + hoard.length }) },
  loop() { for (;;) Math.random() },
  regex: function backtrack() { /^(a+)+$/.test('a'.repeat(100) + 'b') },
  wait() { sleep() },
  native() { readFileSync(${JSON.stringify(pipe)}) },
  slow() { sleep(1_500) },
}

export default definePolicy({
  name: 'faulty',
  summary: 'Breaks its thread when asked to.',
  settings: z.strictObject({}),
  examples: [{}],
  create: () => ({
    onRequest(exchange) {
      const fault = exchange.path.slice(1)
      if (faults[fault] === undefined) return
      writeSync(2, 'thread ' + threadId + ' begins ' + fault + '\\n')
      return faults[fault]()
    },
    onResponse(exchange) {
      exchange.setResponseHeader('x-thread', String(threadId))
      exchange.setResponseHeader('x-process', String(process.pid))
    },
  }),
})
`

const CONFIGURATION = `
listen: http://127.0.0.1:0
threadHeap: 64mb
plugins: [./faulty.ts]
use: [faulty]
routes: [{ path: /*, id: all, respond: { body: hello } }]
`

/** Who answered. */
export interface Answered {
  readonly thread: number
  readonly pid: number
}

/** One kept connection. */
export class PinnedClient {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  ask(path = '/'): Promise<Answered> {
    return ask(this.#port, path, this.#agent)
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** Asks once; on a connection of its own unless there is an agent. @throws unless the answer is a whole 200. */
export function ask(
  port: number,
  path = '/',
  agent: http.Agent | false = false,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', path, agent }, (response) => {
      let body = ''
      response.setEncoding('latin1').on('data', (text) => {
        body += text
      })
      response.on('error', reject)
      response.on('end', () => {
        const { 'x-thread': thread, 'x-process': pid } = response.headers
        if (response.statusCode === 200 && body === 'hello')
          resolve({ thread: Number(thread), pid: Number(pid) })
        else reject(new Error(`${response.statusCode} ${body}`))
      })
    })
    request.on('error', reject)
  })
}

/** Runs with a gateway of `threads` threads. `pipe` is what the fault `native` reads. */
export async function withFaultyGateway(
  threads: number,
  run: (gateway: RunningGateway) => Promise<void>,
  pipe = '',
): Promise<void> {
  const gateway = await RunningGateway.start({
    threads,
    isReal: true,
    configuration: CONFIGURATION,
    files: { 'faulty.ts': POLICY(pipe) },
  })
  try {
    await run(gateway)
  } finally {
    await gateway.stop()
  }
}

/** A kept connection to each thread, found by trying: the kernel chooses. */
export async function clientPerThread(
  gateway: RunningGateway,
  threads: number,
): Promise<Map<number, PinnedClient>> {
  const found = new Map<number, PinnedClient>()
  while (found.size < threads) {
    const client = new PinnedClient(gateway.port)
    const { thread } = await client.ask()
    if (found.has(thread)) client.close()
    else found.set(thread, client)
  }
  return found
}

/** So many connections at once, with a request each. */
export function crowd(gateway: RunningGateway, size: number): Promise<Answered[]> {
  return Promise.all(Array.from({ length: size }, () => ask(gateway.port)))
}

/** The gateway process of the parent, once there is only one. */
export async function onlyProcess(gateway: RunningGateway): Promise<number> {
  await eventually(
    () => childrenOf(gateway.pid).length === 1,
    () => 'a single gateway process',
  )
  return childrenOf(gateway.pid)[0]!
}
