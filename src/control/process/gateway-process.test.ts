// The whole process model on real processes and sockets: parent, gateway process, threads.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, test } from 'node:test'
import { eventually } from '../../../test/support/changes.ts'
import {
  ask,
  Connection,
  childrenOf,
  fetchText,
  Load,
  RunningGateway,
  type RunSettings,
  START_PATIENCE_MS,
  stop,
} from './running-gateway.test-support.ts'

const ONE_ROUTE = 'routes: [{ path: /*, respond: { status: 200 } }]\n'
const ANY_PORT = `listen: http://127.0.0.1:0\n${ONE_ROUTE}`

async function withGateway(
  settings: Partial<RunSettings>,
  run: (gateway: RunningGateway) => Promise<void>,
): Promise<void> {
  const gateway = await RunningGateway.start({ configuration: ANY_PORT, ...settings })
  try {
    await run(gateway)
  } finally {
    await gateway.stop()
  }
}

/** A connection to each thread, found by trying: the kernel chooses. */
async function connectionPerThread(port: number, threads: number): Promise<Connection[]> {
  const found = new Map<number, Connection>()
  while (found.size < threads) {
    const connection = new Connection(port)
    const { thread } = await connection.ask('/')
    if (found.has(thread)) connection.close()
    else found.set(thread, connection)
  }
  return [...found].sort(([one], [other]) => one - other).map(([, connection]) => connection)
}

/** Resolves when another process than `pid` answers: for a moment, both accept. */
async function successorOf(pid: number, gateway: RunningGateway): Promise<void> {
  await eventually(
    async () => (await ask(gateway.port)).pid !== pid,
    () => `another process than ${pid} to answer`,
    START_PATIENCE_MS,
  )
}

describe('starting and stopping', () => {
  test('SIGTERM ends it with 0 after the running request, and leaves no process', async () => {
    await withGateway({ threads: 2 }, async (gateway) => {
      const { pid } = await ask(gateway.port)
      assert.deepEqual(childrenOf(gateway.pid), [pid])
      const busy = new Connection(gateway.port)
      const idle = new Connection(gateway.port)
      await idle.ask('/')
      const slow = busy.ask('/slow')
      await eventually(
        async () => (await fetchText(gateway.adminPort, '/readyz')).startsWith('200'),
        () => 'readiness',
      )
      gateway.signal('SIGTERM')
      assert.equal((await slow).pid, pid)
      assert.equal(await gateway.exited, 0)
      await Promise.all([busy.closed, idle.closed])
      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
      await assert.rejects(ask(gateway.port), /ECONNREFUSED/)
    })
  })

  test('a port that is in use is refused by name and with a remedy', async () => {
    const other = net.createServer().listen({ port: 0, host: '127.0.0.1', reusePort: true })
    await once(other, 'listening')
    const { port } = other.address() as net.AddressInfo
    const configuration = `listen: http://127.0.0.1:${port}\n${ONE_ROUTE}`
    const gateway = new RunningGateway({ configuration })
    assert.equal(await gateway.exited, 1)
    assert.match(
      gateway.output,
      new RegExp(`not started: listen 127.0.0.1:${port}: port ${port} is already in use`),
    )
    assert.match(gateway.output, /ss -ltnp|choose another/)
    await gateway.stop()
    other.close()
  })

  test('two gateways never share a port', () =>
    withGateway({}, async (first) => {
      const configuration = `listen: http://127.0.0.1:${first.port}\n${ONE_ROUTE}`
      const second = new RunningGateway({ configuration })
      assert.equal(await second.exited, 1)
      assert.match(second.output, /is already in use/)
      await second.stop()
    }))

  test('a wrong file never starts', async () => {
    const gateway = new RunningGateway({ configuration: 'listen: http://127.0.0.1:0\nroutes: 7\n' })
    assert.equal(await gateway.exited, 2)
    assert.match(gateway.output, /gatehouse\.yaml:3:\d+: error: routes/)
    await gateway.stop()
  })

  test('it serves on when nobody reads its output', () =>
    withGateway({}, async (gateway) => {
      gateway.closeOutput()
      gateway.signal('SIGHUP')
      gateway.signal('SIGHUP')
      const { pid } = await ask(gateway.port)
      process.kill(pid, 'SIGKILL')
      const successor = await ask(gateway.port)
      assert.notEqual(successor.pid, pid)
    }))

  test('when the parent is killed, the gateway process ends and frees the port', async () => {
    await withGateway({}, async (gateway) => {
      const { pid } = await ask(gateway.port)
      gateway.signal('SIGKILL')
      await gateway.exited
      await eventually(
        () => {
          try {
            return !process.kill(pid, 0)
          } catch {
            return true
          }
        },
        () => 'the gateway process to end',
      )
      await assert.rejects(ask(gateway.port), /ECONNREFUSED/)
    })
  })
})

describe('crashes', () => {
  for (const way of ['/crash', '/exit']) {
    test(`a thread that ends by ${way} is replaced, the others serve on, nothing waits in vain`, () =>
      withGateway({ threads: 2 }, async (gateway) => {
        const [first, second] = await connectionPerThread(gateway.port, 2)
        const { threadId, pid } = await first!.ask('/')
        first!.send(way)
        await first!.closed
        // The dead thread's queue takes its share of these until the successor listens.
        const answers = await Promise.all(Array.from({ length: 24 }, () => ask(gateway.port)))
        assert.equal((await second!.ask('/')).thread, 1)
        const successors = answers.filter((answer) => answer.thread === 0)
        assert.ok(successors.length > 0)
        assert.ok(successors.every((answer) => answer.threadId !== threadId))
        assert.ok(answers.every((answer) => answer.pid === pid))
        second!.close()
      }))
  }

  test('what the code of a policy posts to its parent ends nothing', () =>
    withGateway({}, async (gateway) => {
      const { pid } = await ask(gateway.port, '/post')
      gateway.signal('SIGHUP')
      await gateway.said(/the configuration is unchanged/)
      assert.equal((await ask(gateway.port)).pid, pid)
    }))

  test('connections that waited when the gateway process was killed are served by the next', () =>
    withGateway({}, async (gateway) => {
      const { pid } = await ask(gateway.port)
      await stop(pid)
      const waiting = Array.from({ length: 8 }, () => new Connection(gateway.port))
      await Promise.all(waiting.map((connection) => connection.connected()))
      const answers = Promise.all(waiting.map((connection) => connection.ask('/')))
      process.kill(pid, 'SIGKILL')
      for (const answer of await answers) assert.notEqual(answer.pid, pid)
      await gateway.said(/ended unexpectedly \(SIGKILL\)/)
      for (const connection of waiting) connection.close()
    }))
})

describe('takeover', () => {
  test('a thread that has used up its descriptors gets fresh ones with a new process', () => {
    // So many addresses that each has one spare only.
    const addresses = Array.from({ length: 350 }, () => "'http://127.0.0.1:0'").join(', ')
    const configuration = `listen: [${addresses}]\n${ONE_ROUTE}`
    return withGateway({ configuration }, async (gateway) => {
      const { pid } = await ask(gateway.port)
      const connection = new Connection(gateway.port)
      connection.send('/exit')
      await connection.closed
      await gateway.said(/replacing the gateway process: its descriptors are used up/)
      await successorOf(pid, gateway)
    })
  })

  test('an upgrade under load resets nothing and ends what runs on the old process', () =>
    withGateway({ threads: 2 }, async (gateway) => {
      const { pid } = await ask(gateway.port)
      const busy = new Connection(gateway.port)
      const load = new Load(6, () => ask(gateway.port))
      try {
        const owner = await busy.ask('/')
        for (let round = 0; round < 2; round++) {
          const from = gateway.output.length
          const slow = round === 0 ? busy.ask('/slow') : null
          gateway.signal('SIGUSR2')
          await gateway.replaced(from)
          if (slow !== null) assert.equal((await slow).pid, owner.pid)
        }
        await load.more(10)
      } finally {
        assert.deepEqual(await load.stop(), [])
        busy.close()
      }
      await successorOf(pid, gateway)
      await eventually(
        () => childrenOf(gateway.pid).length === 1,
        () => 'the predecessors to end',
      )
    }))

  test('an upgrade whose configuration is wrong leaves the old process in charge', () =>
    withGateway({}, async (gateway) => {
      const { pid } = await ask(gateway.port)
      gateway.write('routes: nonsense\n')
      gateway.signal('SIGUSR2')
      await gateway.said(/the gateway process was not replaced: the configuration is refused/)
      assert.equal((await ask(gateway.port)).pid, pid)
      // Nobody asked for a reload: it is told once, and not counted as one.
      gateway.write(ANY_PORT)
      gateway.signal('SIGHUP')
      await gateway.said(/the configuration is unchanged/)
      assert.doesNotMatch(gateway.output, /the old one runs on/)
    }))
})

describe('reloading', () => {
  const withVia = (via: string, listen = 'http://127.0.0.1:0') =>
    `listen: ${listen}\nvia: ${via}\n${ONE_ROUTE}`

  test('a new configuration goes live in every thread, a wrong one in none', () =>
    withGateway({ threads: 2 }, async (gateway) => {
      const connections = await connectionPerThread(gateway.port, 2)
      const vias = async () =>
        (await Promise.all(connections.map((it) => it.ask('/')))).map(({ via }) => via)
      gateway.write(withVia('second'))
      gateway.signal('SIGHUP')
      await gateway.said(/the new configuration is live/)
      assert.deepEqual(await vias(), ['second routes=1', 'second routes=1'])

      for (const [wrong, message] of [
        ['routes: 3\n', /error: routes/],
        [withVia('refused-by-1'), /thread 1 refuses/],
      ] as const) {
        const from = gateway.output.length
        gateway.write(wrong)
        gateway.signal('SIGHUP')
        await gateway.said(/is refused, the old one runs on:/, from)
        await gateway.said(message, from)
        assert.deepEqual(await vias(), ['second routes=1', 'second routes=1'])
      }
      for (const connection of connections) connection.close()
    }))

  test('another number of threads waits for the next start, and that is said', () =>
    withGateway({ threads: 1 }, async (gateway) => {
      gateway.write(`threads: 3\n${withVia('second')}`)
      gateway.signal('SIGHUP')
      await gateway.said(/the new configuration is live/)
      await gateway.said(/`threads: 3` counts from the next start on, until then there is 1\n/)
    }))

  test('a thread that dies of a configuration takes it down with it', () =>
    withGateway({ threads: 2 }, async (gateway) => {
      gateway.write(withVia('kills-0'))
      gateway.signal('SIGHUP')
      await gateway.said(/is refused, the old one runs on:/)
      const connections = await connectionPerThread(gateway.port, 2)
      for (const connection of connections) {
        assert.equal((await connection.ask('/')).via, 'gatehouse routes=1')
        connection.close()
      }
    }))

  test('a crashed gateway process comes back with what ran, whatever the file says by then', () =>
    withGateway({}, async (gateway) => {
      gateway.write(withVia('second'))
      gateway.signal('SIGHUP')
      await gateway.said(/the new configuration is live/)
      gateway.write('routes: nonsense\n')
      process.kill((await ask(gateway.port)).pid, 'SIGKILL')
      assert.equal((await ask(gateway.port)).via, 'second routes=1')
    }))

  test('other addresses come with a new process, and old ones go', () =>
    withGateway({}, async (gateway) => {
      const free = net.createServer().listen(0, '127.0.0.1')
      await once(free, 'listening')
      const { port } = free.address() as net.AddressInfo
      const { port: oldPort } = gateway
      gateway.write(withVia('moved', `http://127.0.0.1:${port}`))
      gateway.signal('SIGHUP')
      await gateway.said(/was not replaced: .*is already in use/)
      assert.equal((await ask(oldPort)).via, 'gatehouse routes=1')

      free.close()
      await once(free, 'close')
      gateway.signal('SIGHUP')
      await gateway.replaced()
      assert.equal((await ask(port)).via, 'moved routes=1')
      await eventually(
        () =>
          ask(oldPort).then(
            () => false,
            (error) => /ECONNREFUSED/.test(String(error)),
          ),
        () => 'the old port to be closed',
      )
    }))

  test('a file that is written is noticed, when asked for', () =>
    withGateway({ watch: true }, async (gateway) => {
      gateway.write(withVia('written'))
      await gateway.said(/the new configuration is live/)
      assert.equal((await ask(gateway.port)).via, 'written routes=1')
    }))
})

test('where sockets cannot be handed over, one thread binds by itself and is still replaced', () => {
  const without = "import net from 'node:net'; delete net.BoundSocket"
  const command = [process.execPath, '--import', `data:text/javascript,${without}`]
  return withGateway({ threads: 3, command }, async (gateway) => {
    assert.match(gateway.output, /\n.*: 1 thread, /)
    const { pid, threadId } = await ask(gateway.port)
    const crashing = new Connection(gateway.port)
    crashing.send('/crash')
    await crashing.closed
    const isBack = () => ask(gateway.port).catch(() => null)
    await eventually(
      async () => ((await isBack())?.threadId ?? threadId) !== threadId,
      () => 'another thread on the same port',
    )
    gateway.write(`listen: http://127.0.0.2:0\n${ONE_ROUTE}`)
    gateway.signal('SIGHUP')
    await gateway.said(/this platform cannot hand sockets to a new process/)
    assert.equal((await ask(gateway.port)).pid, pid)
  })
})
