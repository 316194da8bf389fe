// The configurations that take turns: each differs from the one before it in routes, services or
// policies, and none touches the route and the service of the WebSockets.
import { join } from 'node:path'

/** How long ends are spread when at last the route of the WebSockets changes, in seconds. */
export const SPREAD_S = 20

/** The kinds of change, in the order of their turns. */
export const CHANGES = [
  'as it was',
  'a route and its service more',
  'another endpoint',
  'other settings of policies',
  'other settings of a service',
] as const

/**
 * The configuration after so many reloads.
 * @param servicePort where all services are.
 * @param hasOtherSockets whether the route of the WebSockets is another than in all others.
 */
export function configuration(servicePort: number, turn: number, hasOtherSockets = false): object {
  const change = CHANGES[turn % CHANGES.length]
  const at = (host: string) => `http://${host}:${servicePort}`
  const isStrict = change === 'other settings of policies'
  const moreRoutes = [
    { path: '/more/*', to: 'more' },
    // A name that never comes back, as those of previews and canaries.
    { path: `/preview-${turn}`, respond: { status: 204 } },
  ]
  return {
    listen: 'http://127.0.0.1:0',
    admin: { listen: 'http://127.0.0.1:0' },
    log: { level: 'error' },
    // What a machine that is too busy refuses says nothing of reloads.
    overload: false,
    drain: { spread: `${SPREAD_S}s`, timeout: `${SPREAD_S + 10}s` },
    // All clients are one to the gateway.
    limits: { connectionsPerIp: 10_000 },
    services: {
      // They are used now and then, which is no reason to end them.
      sockets: { url: at('127.0.0.1'), timeouts: { idle: '1h' } },
      app: {
        endpoints: [at('127.0.0.1'), ...(change === 'another endpoint' ? [at('127.0.0.2')] : [])],
        health: { path: '/health', every: '5s' },
        breaker: {},
        timeouts: { response: change === 'other settings of a service' ? '21s' : '20s' },
      },
      ...(change === 'a route and its service more' ? { more: at('127.0.0.3') } : {}),
    },
    routes: [
      { path: '/sockets', to: 'sockets', use: hasOtherSockets ? ['request-id'] : [] },
      { path: '/plain/*', to: 'app' },
      {
        path: '/chain/*',
        use: [
          'request-id',
          { cors: { origins: ['http://localhost:3000'] } },
          { 'rate-limit': { limit: isStrict ? 2_000_000 : 1_000_000, per: '1m', by: 'ip' } },
          { headers: { response: { set: { 'x-strict': String(isStrict) } } } },
        ],
        to: 'app',
      },
      ...(change === 'a route and its service more' ? moreRoutes : []),
    ],
  }
}

/** The same as a module, imported anew by each reload. */
export function moduleText(settings: object, turn: number): string {
  const door = join(import.meta.dirname, '../../src/index.ts')
  return [
    `import { defineGateway } from ${JSON.stringify(door)}`,
    `export const turn: number = ${turn}`,
    `export default defineGateway(${JSON.stringify(settings)})`,
  ].join('\n')
}
