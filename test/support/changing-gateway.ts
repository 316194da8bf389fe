// Gatehouse in front of one service whose endpoints come and go, and who answers for it.
import type { TestContext } from 'node:test'
import { createGateway, type PolicyLog } from '../../src/index.ts'
import { eventually } from './changes.ts'
import { ask, fleet, type Instance } from './fleet.ts'
import type { Settings } from './gateway.ts'

/** Starts a gateway in front of service `s`; what it warns of, and why, is in `said`. */
export async function start(t: TestContext, service: Settings, directory = process.cwd()) {
  const said: string[] = []
  const warn: PolicyLog['warn'] = ({ reason }, message) => {
    said.push(message)
    if (typeof reason === 'string') said.push(reason)
  }
  const log = { info() {}, warn, error() {}, line() {} }
  const settings = (of: Settings) => ({
    listen: 'http://127.0.0.1:0' as const,
    admin: false as const,
    services: { s: { balance: 'round-robin', ...of } },
    routes: [{ path: '/*', to: 's' }],
  })
  const gateway = await createGateway(settings(service) as never, { log, directory })
  await gateway.start()
  t.after(() => gateway.close())
  const { port } = gateway.addresses[0]!
  return { gateway, port, said, apply: (of: Settings) => gateway.apply(settings(of) as never) }
}

export async function instances(t: TestContext, count: number): Promise<Instance[]> {
  const all = await fleet(count)
  t.after(async () => {
    for (const instance of all) await instance.close()
  })
  return all
}

/** Who answers; '503' when nobody does. */
export async function answering(port: number): Promise<string[]> {
  const seen = new Set<string>()
  for (let i = 0; i < 6; i++) {
    const { status, text } = await ask(port)
    seen.add(status === 200 ? text : String(status))
  }
  return [...seen].sort()
}

export async function becomes(port: number, wanted: readonly (Instance | string)[]): Promise<void> {
  const names = wanted.map((one) => (typeof one === 'string' ? one : String(one.port))).sort()
  let seen: string[] = []
  await eventually(
    async () => {
      seen = await answering(port)
      return JSON.stringify(seen) === JSON.stringify(names)
    },
    () => `answers of ${names}, not ${seen}`,
  )
}
