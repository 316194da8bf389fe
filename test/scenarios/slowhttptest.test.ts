// needs: slowhttptest
// Debian's slowhttptest in each of its modes: an honest client is served while it runs, and when it is
// over nothing is left.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { findTool } from '../../scripts/debian-tools.ts'
import { eventually } from '../support/changes.ts'
import { GET } from '../support/faults.ts'
import { TestGateway } from '../support/gateway.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const CONNECTIONS = 300
const SECONDS = 4
/** Shorter than the attack, so that its victims have to be let go in the middle of it. */
const limits = {
  headTimeout: '1s',
  bodyIdleTimeout: '2s',
  bodyRateGrace: '1s',
  keepAliveTimeout: '2s',
  connections: CONNECTIONS + 20,
  connectionsPerIp: CONNECTIONS,
}
const page = Buffer.alloc(200_000, 'p')

/** Starts the tool; what it writes is gathered. */
function attack(t: TestContext, options: readonly string[]) {
  const common = ['-c', CONNECTIONS, '-r', CONNECTIONS, '-l', SECONDS, '-p', 3, '-v', 1].map(String)
  const child = spawn(findTool('slowhttptest')!, [...common, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      text += data.toString('latin1')
    })
  }
  return { child, text: () => text }
}

for (const [name, options] of [
  ['slow heads', ['-H', '-i', '1', '-x', '24']],
  ['slow bodies', ['-B', '-i', '1', '-s', '8192', '-x', '10']],
  ['slow reading', ['-X', '-w', '10', '-y', '20', '-n', '1', '-z', '32', '-k', '3']],
  ['many ranges', ['-R', '-a', '5', '-b', '3000', '-t', 'HEAD']],
] as const) {
  test(name, async (t) => {
    const upstream = await RecordingUpstream.startHttp((request, response) => {
      request.resume()
      request.on('error', () => {})
      request.on('end', () => response.end(request.url === '/page' ? page : 'ok'))
    })
    t.after(() => upstream.close())
    const gateway = await TestGateway.to({ url: upstream.url }, { limits })
    t.after(() => gateway.close())

    const { child, text } = attack(t, ['-u', `http://127.0.0.1:${gateway.port}/page`, ...options])
    const ended = once(child, 'exit')
    await eventually(
      () => gateway.stats().clientConnections! >= CONNECTIONS / 2 || child.exitCode !== null,
      () => `the attack to begin: ${text()}`,
    )
    do {
      const honest = await gateway.connect({ localAddress: '127.0.0.2' })
      assert.equal((await honest.exchange(GET)).text, 'ok')
      await honest.destroy()
    } while (child.exitCode === null && child.signalCode === null)
    await ended
    assert.match(text(), /Exit status/)
    await gateway.idle()
  })
}
