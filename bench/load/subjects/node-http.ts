// Two small proxies on node:http, the usual ground that JavaScript gateways stand on.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ScenarioName, Subject } from '../subject.ts'

const folder = join(import.meta.dirname, '../baselines')
const scenarios: ScenarioName[] = ['small-json', 'post-16kb', 'stream-1gb', 'offered-load']

function baseline(name: string, file: string, version: () => string | null): Subject {
  return {
    name,
    scenarios,
    version,
    prepare: ({ port, upstreamPort }) => ({
      program: process.execPath,
      args: [join(folder, file), `${port}`, `${upstreamPort}`],
    }),
  }
}

function undiciVersion(): string | null {
  try {
    const manifest = new URL(import.meta.resolve('undici/package.json'))
    return JSON.parse(readFileSync(manifest, 'utf8')).version
  } catch {
    return null
  }
}

export const nodeHttpRequest: Subject = baseline(
  'node:http+http.request',
  'http-request.ts',
  () => process.versions.node,
)
export const nodeHttpUndici: Subject = baseline('node:http+undici', 'undici.ts', undiciVersion)
