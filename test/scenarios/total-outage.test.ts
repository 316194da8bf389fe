// All instances of a service fail, and nothing but the retry budget keeps requests from them: clients are
// told soon, and the instances see no more attempts than the budget allows.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fleet, type Instance, Load } from '../support/fleet.ts'
import { TestGateway } from '../support/gateway.ts'

const ATTEMPT_MS = 300
const CLIENTS = 12
const STATUS = { refuse: 502, reset: 502, stall: 504, 500: 500 } as const

function requestsOf(instances: readonly Instance[]): number {
  return instances.reduce((sum, { requests }) => sum + requests, 0)
}

describe('all of them fail', { concurrency: 8 }, () => {
  for (const balance of ['p2c', 'round-robin']) {
    for (const fault of ['refuse', 'reset', 'stall', '500'] as const) {
      test(`${balance}: ${fault}`, async (t) => {
        const instances = await fleet(3)
        const gateway = await TestGateway.to({
          endpoints: instances.map(({ url }) => url),
          balance,
          timeouts: { connect: `${ATTEMPT_MS}ms`, attempt: `${ATTEMPT_MS}ms` },
          retries: { attempts: 2, on: ['connect', 'reset', 'timeout', 500, 502, 503, 504] },
        })
        const load = new Load(gateway.port, CLIENTS)
        t.after(async () => {
          await load.stop()
          await gateway.close()
          for (const instance of instances) await instance.close()
        })
        await load.more(60)
        const answered = load.answers.length
        const before = requestsOf(instances)
        const since = performance.now()
        await Promise.all(instances.map((instance) => instance.become(fault)))
        await load.more(60)
        // Read together: between these nothing happens.
        const attempts = requestsOf(instances) - before
        const answers = load.answers.slice(answered)
        const seconds = (performance.now() - since) / 1000
        const others = answers.filter(({ status }) => status !== STATUS[fault] && status !== 504)
        assert.ok(others.length <= CLIENTS, 'only those that were on their way')
        // A fifth of the traffic, what came before included, and ten a second, of which ten may be saved up.
        const requests = answers.length + CLIENTS
        const most = requests + 0.2 * (answered + requests) + 10 * (seconds + 1)
        assert.ok(attempts <= most, `${attempts} attempts, ${most} at most`)
      })
    }
  }
})
