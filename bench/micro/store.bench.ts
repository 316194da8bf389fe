// What one call of the store costs, in one thread: time, and bytes allocated.
// Run: node bench/micro/store.bench.ts. CPU nanoseconds per call, medians of alternating rounds.
import { getHeapStatistics } from 'node:v8'
import { KeyedHash } from '../../src/state/keyed-hash.ts'
import { allocateStore, SharedMemoryStore } from '../../src/state/shared-memory-store.ts'
import type { Limit } from '../../src/state/store.ts'

const ROUNDS = 11
const CALLS = 200_000
const KEYS = 1_000

const store = new SharedMemoryStore(allocateStore({ threads: 1 }), 0)
const hash = new KeyedHash(crypto.getRandomValues(new Int32Array(8)))
const limit = (algorithm: Limit['algorithm']): Limit => ({
  algorithm,
  limit: 1e9,
  periodMs: 60_000,
  burst: 1e9,
})
const gcra = [limit('gcra')]
const window = [limit('sliding-window')]
const both = [...gcra, ...window]
// Flat strings of the length that policies make.
const keysOf = (prefix: string) =>
  Array.from({ length: KEYS }, (_, key) =>
    Buffer.from(`${prefix}0123456789=203.0.113.${key}`).toString(),
  )
const first = keysOf('g')
const second = keysOf('w')
const firstAlone = first.map((key) => [key])
const secondAlone = second.map((key) => [key])
const pairs = first.map((key, index) => [`${key}a`, `${second[index]!}a`])

const CASES: readonly (readonly [string, (index: number) => void])[] = [
  ['hash of 25 characters', (index) => hash.read(first[index]!)],
  ['take, gcra', (index) => store.take(gcra, firstAlone[index]!, 1, 'deny')],
  ['take, sliding window', (index) => store.take(window, secondAlone[index]!, 1, 'deny')],
  ['take, both together', (index) => store.take(both, pairs[index]!, 1, 'deny')],
  ['increment', (index) => store.increment(first[index]!, 1, 60_000)],
  ['spend', (index) => store.spend(first[index]!, 1, 1e12, 60_000)],
  [
    'enter and leave',
    (index) => {
      store.enter(first[index]!, 10)
      store.leave(first[index]!)
    },
  ],
]

function allocated(): number {
  return (getHeapStatistics() as unknown as { total_allocated_bytes: number }).total_allocated_bytes
}

const results = CASES.map(() => ({ ns: [] as number[], bytes: [] as number[] }))
for (let round = 0; round < ROUNDS; round++) {
  for (const [place, [, run]] of CASES.entries()) {
    const cpu = process.cpuUsage()
    const bytes = allocated()
    for (let call = 0; call < CALLS; call++) run(call % KEYS)
    results[place]!.bytes.push((allocated() - bytes) / CALLS)
    const { user, system } = process.cpuUsage(cpu)
    results[place]!.ns.push(((user + system) * 1_000) / CALLS)
  }
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
for (const [place, [name]] of CASES.entries()) {
  const { ns, bytes } = results[place]!
  console.log(
    `${name.padEnd(24)} ${median(ns).toFixed(0).padStart(5)} ns ${median(bytes).toFixed(0).padStart(5)} bytes`,
  )
}
