// The gateway of a soak, in a process of its own, so that what is measured is the gateway's alone.
// Samples are taken on request, after a forced collection.
import { createGateway } from '../../src/gateway/gateway.ts'

/** What the driver tells this process. */
export type Order = { readonly order: 'sample' | 'reload' | 'end' }

/** One look at the process. */
export interface Sample {
  readonly rssBytes: number
  readonly heapBytes: number
  readonly sockets: number
  readonly timers: number
  readonly exchanges: number
}

const [upstreamPort] = process.argv.slice(2).map(Number)
let generation = 0

/** Every other configuration has another route, so that each reload changes something. */
function configuration(): unknown {
  return {
    listen: 'http://127.0.0.1:0',
    admin: false,
    limits: { headTimeout: '2s', bodyIdleTimeout: '2s' },
    services: { app: { url: `http://127.0.0.1:${upstreamPort}`, timeouts: { response: '2s' } } },
    use: ['request-id', { cors: { origins: ['http://localhost:3000'] } }],
    routes: [
      { path: '/*', to: 'app' },
      { path: `/generation-${generation++ % 2}`, respond: { status: 204 } },
    ],
  }
}

const gateway = await createGateway(configuration() as never)
await gateway.start()

function sample(): Sample {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('run this with --expose-gc')
  gc()
  gc()
  const {
    clientConnections = 0,
    upstreamConnections = 0,
    timers = 0,
    exchanges = 0,
  } = gateway.stats()
  const { rss, heapUsed } = process.memoryUsage()
  const sockets = clientConnections + upstreamConnections
  return { rssBytes: rss, heapBytes: heapUsed, sockets, timers, exchanges }
}

process.on('message', async ({ order }: Order) => {
  if (order === 'sample') process.send!(sample())
  else if (order === 'reload') await gateway.apply(configuration() as never)
  else {
    await gateway.close()
    process.disconnect?.()
  }
})
process.send!({ port: gateway.addresses[0]!.port })
