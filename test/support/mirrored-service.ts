// A service with a mirror beside it, and the gateway and a client in front.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { eventually } from './changes.ts'
import type { Settings } from './gateway.ts'
import { MeasuredGateway } from './measured-gateway.ts'
import { RawClient } from './raw-client.ts'
import { answersOk, RecordingUpstream, type Script } from './recording-upstream.ts'

/** What differs from a route `r` to `s`, all of whose safe requests go to `next` as well. */
export interface Setup {
  readonly own?: Script
  readonly mirror?: Script
  readonly settings?: Settings
  /** Of the mirrored service. */
  readonly next?: Settings
  readonly route?: Settings
}

/** Starts all of it; it is closed when the test ends. */
export async function startMirrored(t: TestContext, setup: Setup = {}) {
  const own = await RecordingUpstream.start(setup.own ?? answersOk)
  const mirror = await RecordingUpstream.start(setup.mirror ?? answersOk)
  const config = (settings: Settings = {}): Settings => ({
    services: { s: own.url, next: { url: mirror.url, ...setup.next } },
    routes: [
      {
        id: 'r',
        path: '/*',
        to: 's',
        mirror: { to: 'next', ...setup.settings, ...settings },
        ...setup.route,
      },
    ],
  })
  const measured = await MeasuredGateway.start(config())
  const client = await RawClient.connect(measured.port)
  let closing: Promise<void> | null = null
  const close = (): Promise<void> => {
    closing ??= (async () => {
      await client.destroy()
      await measured.gateway.close()
      await own.close()
      await mirror.close()
    })()
    return closing
  }
  t.after(close)
  const become = async (wanted: Record<string, number>): Promise<void> => {
    const isSo = (): boolean => same(measured.counts('mirror'), wanted)
    await eventually(isSo, () => JSON.stringify(measured.counts('mirror')))
  }
  return { own, mirror, measured, client, config, close, become }
}

/** Counts of the route `r` by their short names: `requests answered`. */
function same(counts: Record<string, number>, wanted: Record<string, number>): boolean {
  const short = Object.entries(counts).map(([series, value]) => {
    const [, family, label] = /^mirror_(\w+)_total\{route="r",\w+="(\w+)"\}$/.exec(series) ?? []
    return [`${family} ${label}`, value] as const
  })
  try {
    assert.deepEqual(Object.fromEntries(short), wanted)
    return true
  } catch {
    return false
  }
}
