// Whether the time it takes to refuse an API key says how much of it was right. Run by hand, on a quiet
// machine: keys that share all but their last character with a real one against keys that share none,
// in random order through the real policy, and a paired t-test over blocks.
import { randomInt } from 'node:crypto'
import { apiKey } from '../../src/policies/api-key/api-key.ts'
import { apiKeyHash, createApiKey } from '../../src/policies/api-key-format.ts'
import type { KeyEntry } from '../../src/proxy/pipeline/consumer.ts'
import { testExchange } from '../../src/proxy/pipeline/exchange.test-support.ts'
import type { Exchange } from '../../src/proxy/pipeline/exchange.ts'
import { inertEnvironment, NO_CONSUMERS } from '../../src/proxy/pipeline/inert-environment.ts'

const KEYS = 16
const BLOCKS = 200
/** Refusals in a block. */
const ROUNDS = 2_000
/** Blocks before the first that counts. */
const WARM_UP = 20
/** What tests of this kind take for evidence of a leak. */
const T_MAX = 4.5

const consumer = { id: 'a', groups: [], claims: null, metadata: {}, limits: {} }
let known: KeyEntry | null = null
const environment = inertEnvironment({
  consumers: { ...NO_CONSUMERS, byKeyHash: (hash) => (hash === known?.hash ? known : null) },
})
const hooks = apiKey.create(apiKey.settings.parse({ failures: false }), environment)

/**
 * Requests with wrong keys of both kinds, for a new right one. The policy knows its own prefix by `gh`;
 * with another one the whole key is hashed and looked up.
 */
function requests(): Exchange[][] {
  const right = createApiKey('xx')
  const expiresAtMs = Number.POSITIVE_INFINITY
  known = { consumer, hash: apiKeyHash(right), label: '', expiresAtMs }
  const ends = Array.from({ length: KEYS }, (_, index) => index.toString(36))
  const almost = ends.map((end) => right.slice(0, -1) + end)
  const nothing = ends.map((end) => createApiKey('yy').slice(0, -1) + end)
  return [almost, nothing].map((keys) =>
    keys.map((key) => testExchange({ fields: [`X-Api-Key: ${key}`] })),
  )
}

/** The mean time of a refusal, by kind, in one block of rounds; the slowest fifth is the machine's doing. */
function block(): number[] {
  const exchanges = requests()
  const times: number[][] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    const kind = randomInt(2)
    const exchange = exchanges[kind]![randomInt(KEYS)]!
    // The policy has taken the key out of the request that it saw last.
    exchange.requestEdits = null
    const before = process.hrtime.bigint()
    hooks.onRequest!(exchange)
    times[kind]!.push(Number(process.hrtime.bigint() - before))
  }
  return times.map((list) => {
    const kept = list.sort((a, b) => a - b).slice(0, Math.floor(list.length * 0.8))
    return kept.reduce((sum, time) => sum + time, 0) / kept.length
  })
}

for (let round = 0; round < WARM_UP; round++) block()
const means = Array.from({ length: BLOCKS }, block)
const differences = means.map(([near, far]) => near! - far!)
const mean = average(differences)
const variance = average(differences.map((value) => (value - mean) ** 2)) * (BLOCKS / (BLOCKS - 1))
const t = mean / Math.sqrt(variance / BLOCKS)
console.log(
  `all but the last character right: ${average(means.map(([near]) => near!)).toFixed(1)} ns`,
)
console.log(
  `nothing right:                    ${average(means.map(([, far]) => far!)).toFixed(1)} ns`,
)
console.log(
  `t = ${t.toFixed(2)} over ${BLOCKS} blocks; beyond ±${T_MAX} the two could be told apart`,
)
if (Math.abs(t) > T_MAX) process.exitCode = 1

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
