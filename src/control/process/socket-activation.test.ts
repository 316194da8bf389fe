// Sockets as systemd hands them over, with a real process that inherits them.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { ask, RunningGateway } from './running-gateway.test-support.ts'
import { servesAddress, takeActivatedSockets } from './socket-activation.ts'

test('an inherited socket is served by every thread, and outlives the gateway process', async () => {
  const bound = new net.BoundSocket({ host: '127.0.0.1', port: 0 })
  const { port } = bound.address()
  const activation = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@"'
  const gateway = await RunningGateway.start({
    threads: 2,
    configuration: `listen: http://127.0.0.1:${port}\nroutes: [{ path: /*, respond: { status: 200 } }]\n`,
    command: ['sh', '-c', activation, process.execPath],
    stdio: [bound.fd()],
  })
  assert.equal(gateway.port, port)
  const { pid } = await ask(port)
  process.kill(pid, 'SIGKILL')
  assert.notEqual((await ask(port)).pid, pid)
  assert.equal(await gateway.stop(), 0)
  bound.close()
})

test('what is meant for another process is left alone, what makes no sense is an error', () => {
  const environment = { LISTEN_PID: '1', LISTEN_FDS: '3' }
  assert.deepEqual(takeActivatedSockets(environment), [])
  assert.deepEqual(environment, {})
  const own = { LISTEN_PID: String(process.pid) }
  assert.throws(() => takeActivatedSockets({ ...own, LISTEN_FDS: 'many' }), /LISTEN_FDS is "many"/)
  assert.throws(() => takeActivatedSockets({ ...own, LISTEN_FDS: '257' }), /from 0 to 256/)
})

test('a socket on every address serves a listener on every address, of either family', () => {
  const bound = { host: '::', port: 80 }
  assert.equal(servesAddress(bound, { host: '0.0.0.0', port: 80 }), true)
  assert.equal(servesAddress(bound, { host: '127.0.0.1', port: 80 }), false)
  assert.equal(servesAddress(bound, { host: '::', port: 81 }), false)
})
