// The parts of the benchmark that would silently make wrong numbers.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { heldAgainst } from './budgets.ts'
import { percentile, readWrkReport } from './load-tools.ts'
import { cpuSeconds } from './processes.ts'
import { median, medianOf, type ScenarioResult, table } from './report.ts'
import { scenarios } from './scenarios.ts'
import { routePaths } from './subjects/gatehouse.ts'

const wrkReport = `Running 2s test @ http://127.0.0.1:28080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   359.70us  177.89us   3.67ms   87.03%
    Req/Sec   121.88k     9.56k  138.17k    65.00%
  Latency Distribution
     50%  282.00us
     75%  497.00us
     90%  549.00us
     99%    1.46ms
  242554 requests in 2.10s, 38.17MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 7
Requests/sec: 121087.14
`

test("reads wrk's report in microseconds, and counts every kind of failure", () => {
  const expected = { requests: 242554, seconds: 2.1, p50: 282, p99: 1460, errors: 11 }
  assert.deepEqual(readWrkReport(wrkReport), expected)
  assert.throws(() => readWrkReport('unable to connect'), /unable to connect/)
})

test('medians and percentiles', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  const sorted = Float64Array.from({ length: 1000 }, (_, index) => index)
  assert.equal(percentile(sorted, 0.5), 500)
  assert.equal(percentile(sorted, 0.99), 990)
  assert.equal(percentile(Float64Array.of(5), 0.99), 5)
})

test('the CPU time of a program is that of all its processes', async (context) => {
  const busy =
    'do { t = process.cpuUsage() } while (t.user + t.system < 300_000);' +
    'console.log(1); setInterval(() => {}, 1000)'
  const line = `"${process.execPath}" -e "${busy}" & wait`
  const shell = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  context.after(() => process.kill(-shell.pid!, 'SIGKILL'))
  await once(shell.stdout, 'data')
  const used = cpuSeconds(shell.pid!)
  assert.ok(used >= 0.29, `${used} s`)
})

test('the table compares medians with nginx', () => {
  const round = (subject: string, cpuMicros: number) => {
    const others = { perSecond: 1000, p50Micros: 1, p99Micros: 2, errors: 0 }
    return { subject, round: 1, values: { cpuMicros, ...others } }
  }
  const measurements = [round('gatehouse', 30), round('gatehouse', 40), round('nginx', 20)]
  const result: ScenarioResult = { scenario: scenarios[0]!, measurements }
  assert.equal(medianOf(result, 'gatehouse', 'cpuMicros'), 35)
  const row = table(result).split('\n')[2]!
  assert.deepEqual(
    row
      .split('|')
      .slice(1, 6)
      .map((cell) => cell.trim()),
    ['gatehouse', '35.0', '1.75', '30.0–40.0', '1,000'],
  )
})

test('budgets are held against what was measured, and against nothing else', () => {
  const round = (subject: string, cpuMicros: number) => ({
    subject,
    round: 1,
    values: { cpuMicros },
  })
  const result: ScenarioResult = {
    scenario: scenarios[0]!,
    measurements: [round('gatehouse', 32), round('nginx', 20), round('node:http+undici', 80)],
  }
  const held = heldAgainst([result]).map(({ ratio, limit, isKept }) => [ratio, limit, isKept])
  assert.deepEqual(held, [
    [1.6, 1.5, false],
    [2.5, 2.5, true],
  ])
})

test('routes are all different, half of them with a parameter', () => {
  const paths = routePaths(10_000)
  assert.equal(new Set(paths).size, 10_000)
  assert.equal(paths.filter((path) => path.endsWith('/{id}')).length, 5000)
})
