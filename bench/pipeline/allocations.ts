// Bounds the bytes that the gateway's thread allocates on the JavaScript heap for each proxied
// request: the one cost that is the same on every machine, so that CI can hold it. `--update` writes
// what was measured as the new bound.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { getHeapStatistics } from 'node:v8'
import type { DocumentInput } from '../../src/config/schema.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import { TrafficWorker } from './traffic.ts'

const boundsPath = join(import.meta.dirname, 'allocations.json')
const tolerance = 0.1
const warmUpRequests = 30_000
const requests = 10_000
const samples = 5
const isUpdate = process.argv.includes('--update')

const uses: Record<string, DocumentInput['use']> = {
  'pass-through': [],
  policies: [
    'request-id',
    'access-log',
    { cors: { origins: ['http://localhost:3000'] } },
    { headers: { response: { set: { 'x-content-type-options': 'nosniff' } } } },
  ],
}

const bounds = JSON.parse(readFileSync(boundsPath, 'utf8')) as Record<string, number>
for (const [name, use] of Object.entries(uses)) {
  const measured = await measure(use)
  if (isUpdate) bounds[name] = Math.round(measured)
  report(name, measured, bounds[name] ?? 0)
}
if (isUpdate) writeFileSync(boundsPath, `${JSON.stringify(bounds, null, 2)}\n`)

function report(name: string, measured: number, bound: number): void {
  const ratio = measured / bound
  console.log(`${name}: ${measured.toFixed(0)} bytes/request, bound ${bound} (${ratio.toFixed(3)})`)
  if (ratio > 1 + tolerance) {
    console.error(`  More than ${tolerance * 100} % above the bound.`)
    process.exitCode = 1
  } else if (ratio < 1 - tolerance) {
    console.log('  Well below: write it down with --update, so that it is held.')
  }
}

/** The median over the samples, after a warm-up that lets the compiler settle. */
async function measure(use: DocumentInput['use']): Promise<number> {
  const traffic = await TrafficWorker.start()
  const gateway = await createGateway({
    listen: 'http://127.0.0.1:0',
    admin: false,
    limits: { requestsPerConnection: 1_000_000_000 },
    services: { app: `http://127.0.0.1:${traffic.upstreamPort}` },
    use,
    routes: [{ path: '/*', to: 'app' }],
  })
  await gateway.start()
  const { port } = gateway.addresses[0]!
  await traffic.send(port, warmUpRequests)
  const perRequest: number[] = []
  for (let sample = 0; sample < samples; sample++) {
    const before = getHeapStatistics().total_allocated_bytes
    await traffic.send(port, requests)
    perRequest.push((getHeapStatistics().total_allocated_bytes - before) / requests)
  }
  await gateway.close()
  await traffic.stop()
  return perRequest.sort((a, b) => a - b)[samples >> 1]!
}
