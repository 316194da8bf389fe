// Gatehouse as a user runs it: `gatehouse run`, from source, with one thread unless asked for more.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Setup, Subject } from '../subject.ts'

const root = join(import.meta.dirname, '../../..')

export const gatehouse: Subject = {
  name: 'gatehouse',
  scenarios: [
    'small-json',
    'policies',
    'routes-10',
    'routes-10000',
    'post-16kb',
    'tls',
    'stream-1gb',
    'offered-load',
  ],
  version: () => JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
  prepare(setup) {
    const path = join(setup.folder, 'gatehouse.json')
    writeFileSync(path, JSON.stringify(configuration(setup), null, 2))
    return { program: process.execPath, args: [join(root, 'src/main.ts'), 'run', path] }
  },
}

function configuration({ scenario, port, upstreamPort, threads, tls }: Setup): object {
  const url = `${scenario === 'tls' ? 'https' : 'http'}://127.0.0.1:${port}`
  const certificates = { cert: tls.certificate, key: tls.key }
  return {
    listen: scenario === 'tls' ? { url, tls: { certificates } } : url,
    threads,
    admin: false,
    limits: { requestsPerConnection: 1_000_000_000, bodyBytes: '4gb' },
    services: { app: `http://127.0.0.1:${upstreamPort}` },
    use: scenario === 'policies' ? policies : [],
    routes: routes(scenario),
  }
}

const policies = [
  'request-id',
  'access-log',
  { cors: { origins: ['http://localhost:3000'] } },
  {
    headers: {
      response: { remove: ['x-powered-by'], set: { 'x-content-type-options': 'nosniff' } },
    },
  },
]

function routes(scenario: Setup['scenario']): object[] {
  if (scenario !== 'routes-10' && scenario !== 'routes-10000') return [{ path: '/*', to: 'app' }]
  return routePaths(scenario === 'routes-10' ? 10 : 10_000).map((path) => ({ path, to: 'app' }))
}

/** Half of them literal, half with a parameter, spread over a hundred first segments. */
export function routePaths(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const folder = `/team-${index % 100}/service-${index}`
    return index % 2 === 0 ? `${folder}/status` : `${folder}/items/{id}`
  })
}
