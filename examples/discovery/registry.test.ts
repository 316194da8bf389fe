import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../../test/support/changes.ts'
import { ask, fleet } from '../../test/support/fleet.ts'
import { TestGateway } from '../../test/support/gateway.ts'

test('the guide shows the example as it is', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
  const source = read('./registry.ts')
  const shown = source.slice(source.indexOf('export default'))
  assert.ok(read('../../docs/guide/load-balancing.md').includes(shown))
})

test('the example follows a registry, and goes on with what it knew while that is away', async (t) => {
  const [one, two] = await fleet(2)
  let list: readonly string[] | null = [one!.url]
  let failed = 0
  const registry = http.createServer((_, response) => {
    if (list === null) {
      failed += 1
      response.writeHead(503).end()
    } else response.end(JSON.stringify(list))
  })
  registry.listen(0, '127.0.0.1')
  await once(registry, 'listening')
  const url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/carts`
  const gateway = await TestGateway.to({
    discover: {
      module: fileURLToPath(new URL('./registry.ts', import.meta.url)),
      settings: { url, every: '100ms' },
    },
  })
  t.after(async () => {
    await gateway.close()
    registry.close()
    registry.closeAllConnections()
    for (const instance of [one!, two!]) await instance.close()
  })
  const answers = (wanted: string) =>
    eventually(
      async () => (await ask(gateway.port)).text === wanted,
      () => `an answer of ${wanted}`,
    )
  await answers(String(one!.port))
  list = null
  await eventually(
    () => failed > 1,
    () => 'the registry to be asked in vain',
  )
  assert.equal((await ask(gateway.port)).text, String(one!.port))
  list = [two!.url]
  await answers(String(two!.port))
})
