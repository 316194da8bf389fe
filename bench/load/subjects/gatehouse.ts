// Gatehouse as a user runs it: `gatehouse run`, from source, with one thread unless asked for more.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { audience, issuer, publicKey } from '../access-token.ts'
import type { Command, ScenarioName, Setup, Subject } from '../subject.ts'

const root = join(import.meta.dirname, '../../..')

const version = () => JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version

function prepare(setup: Setup, routes: readonly string[]): Command {
  const path = join(setup.folder, 'gatehouse.json')
  writeFileSync(path, JSON.stringify(configuration(setup, routes), null, 2))
  return { program: process.execPath, args: [join(root, 'src/main.ts'), 'run', path] }
}

export const gatehouse: Subject = {
  name: 'gatehouse',
  scenarios: [
    'small-json',
    'policies',
    'shop-chain',
    'post-16kb',
    'tls',
    'stream-1gb',
    'offered-load',
  ],
  version,
  prepare: (setup) => prepare(setup, ['/*']),
}

function withRoutes(count: number): Subject {
  return {
    name: `gatehouse-${count}-routes`,
    routes: count,
    scenarios: ['routes'],
    version,
    prepare: (setup) => prepare(setup, routePaths(count)),
  }
}

/** The same gateway with few and with many routes. */
export const gatehouse10Routes: Subject = withRoutes(10)
export const gatehouse10000Routes: Subject = withRoutes(10_000)

function configuration(
  { scenario, port, upstreamPort, threads, tls }: Setup,
  routes: readonly string[],
): object {
  const url = `${scenario === 'tls' ? 'https' : 'http'}://127.0.0.1:${port}`
  const certificates = { cert: tls.certificate, key: tls.key }
  return {
    listen: scenario === 'tls' ? { url, tls: { certificates } } : url,
    threads,
    admin: false,
    limits: { requestsPerConnection: 1_000_000_000 },
    services: { app: `http://127.0.0.1:${upstreamPort}` },
    use: uses[scenario] ?? [],
    routes: routes.map((path) => ({ path, to: 'app' })),
  }
}

const cors = { cors: { origins: ['http://localhost:3000'] } }

const uses: Partial<Record<ScenarioName, readonly unknown[]>> = {
  policies: [
    'request-id',
    'access-log',
    cors,
    {
      headers: {
        response: { remove: ['x-powered-by'], set: { 'x-content-type-options': 'nosniff' } },
      },
    },
  ],
  'shop-chain': [
    'request-id',
    'access-log',
    cors,
    { jwt: { issuer, audience, keys: publicKey } },
    { 'rate-limit': { limit: 1_000_000_000, per: '1m', by: 'consumer' } },
  ],
}

/** Half of them literal, half with a parameter, spread over a hundred first segments. */
export function routePaths(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const folder = `/team-${index % 100}/service-${index}`
    return index % 2 === 0 ? `${folder}/status` : `${folder}/items/{id}`
  })
}
