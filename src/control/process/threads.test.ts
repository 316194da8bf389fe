// The threads of a gateway process, with a data plane that can be made to fail.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { eventually } from '../../../test/support/changes.ts'
import { loadObject } from '../../config/load-object.ts'
import type { Document } from '../../config/schema.ts'
import { NO_GRACE } from '../../gateway/drain.ts'
import type { EndpointsUpdate } from '../../gateway/plane-services.ts'
import { createSharedState } from '../../gateway/shared-state.ts'
import { allocateLogPending } from '../../observability/log-batcher.ts'
import { MetricsReader, MetricsWriter } from '../../observability/metrics.ts'
import { NO_DOCUMENTS } from '../../proxy/pipeline/inert-environment.ts'
import { BlockingPipe } from './blocking-pipe.test-support.ts'
import { DescriptorStock } from './inherited-descriptors.ts'
import { ask, Connection } from './running-gateway.test-support.ts'
import { Suspects } from './suspects.ts'
import { DataThreads, RefusedError, type ThreadsOptions } from './threads.ts'

async function documentOf(via: string, routes = 1): Promise<Document> {
  const { document } = await loadObject({
    listen: 'http://127.0.0.1:0',
    via,
    routes: Array.from({ length: routes }, (_, index) => ({ path: `/${index}`, respond: {} })),
  })
  return document
}

function addresses(count: number): EndpointsUpdate {
  const services = Array.from({ length: count }, (_, slot) => ({
    name: `${slot}`,
    slot,
    endpoints: [],
  }))
  return { services }
}

/** What happened, in words. */
class Journal {
  readonly exits: string[] = []
  readonly stuck: string[] = []
  readonly located: string[] = []
}

async function withThreads(
  document: Document,
  options: Partial<ThreadsOptions>,
  run: (threads: DataThreads, journal: Journal) => Promise<void>,
): Promise<void> {
  const journal = new Journal()
  const shared = createSharedState(1)
  const [reader, writer] = [new MetricsReader(shared.metrics), new MetricsWriter(shared.metrics, 1)]
  const threads = new DataThreads({
    count: 1,
    entry: new URL('./thread.test-support.ts', import.meta.url),
    shared,
    suspects: new Suspects(reader, writer, () => {}),
    logPending: allocateLogPending(1),
    stock: new DescriptorStock([]),
    documents: NO_DOCUMENTS,
    backoff: { firstMs: 1, maxMs: 1 },
    locate: async (next) => {
      journal.located.push(next.via ?? '')
      return addresses(next.routes.length)
    },
    onLog: () => {},
    onThreadExit: (_, reason) => journal.exits.push(reason),
    onThreadStuck: (_, reason) => journal.stuck.push(reason),
    onDescriptorsLow: () => {},
    ...options,
  })
  try {
    await threads.start(document)
    await run(threads, journal)
  } finally {
    await threads.drain(NO_GRACE)
  }
}

/** Ends the thread and waits for the next one. */
async function replace(threads: DataThreads, journal: Journal, path: string): Promise<void> {
  const exits = journal.exits.length
  const connection = new Connection(threads.ports[0]!)
  connection.send(path)
  await connection.closed
  await eventually(
    () => journal.exits.length > exits && threads.serving === 1,
    () => 'a new thread',
  )
}

describe('data-plane threads', () => {
  test('a document of any length arrives whole', async () => {
    await withThreads(await documentOf('long', 250), {}, async (threads) => {
      assert.equal((await ask(threads.ports[0]!)).via, 'long routes=250')
    })
  })

  test('a new thread begins with the configuration and the addresses that are known by then', async () => {
    await withThreads(await documentOf('first'), {}, async (threads, journal) => {
      await threads.apply(await documentOf('second', 2))
      assert.equal((await ask(threads.ports[0]!)).services, 2)
      await threads.updateEndpoints(addresses(5))
      assert.equal((await ask(threads.ports[0]!)).services, 5)
      await replace(threads, journal, '/crash')
      const { via, services } = await ask(threads.ports[0]!)
      assert.deepEqual({ via, services }, { via: 'second routes=2', services: 5 })
      assert.match(journal.exits[0]!, /a policy failed later/)
    })
  })

  test('a refused configuration leaves everything as it was, the addresses too', async () => {
    await withThreads(await documentOf('first'), {}, async (threads, journal) => {
      await assert.rejects(threads.apply(await documentOf('refused-by-0', 3)), (error) => {
        assert.ok(error instanceof RefusedError)
        assert.deepEqual(error.problems, ['thread 0 refuses'])
        return true
      })
      assert.equal((await ask(threads.ports[0]!)).via, 'first routes=1')
      assert.deepEqual(journal.located, ['first', 'first'])
      await threads.apply(await documentOf('second'))
      assert.equal((await ask(threads.ports[0]!)).via, 'second routes=1')
    })
  })

  test('when there is no room for the addresses, the configuration is refused', async () => {
    let isFull = false
    const locate = async () => {
      if (isFull) {
        isFull = false
        throw new RangeError('no room for more endpoints')
      }
      return addresses(1)
    }
    await withThreads(await documentOf('first'), { locate }, async (threads) => {
      isFull = true
      await assert.rejects(threads.apply(await documentOf('second')), /no room for more endpoints/)
      assert.equal((await ask(threads.ports[0]!)).via, 'first routes=1')
    })
  })

  test('a thread whose event loop no longer turns is replaced', async () => {
    await withThreads(
      await documentOf('first'),
      { watch: { silentMs: 1_500 } },
      async (threads, journal) => {
        const { threadId } = await ask(threads.ports[0]!)
        await replace(threads, journal, '/loop')
        assert.notEqual((await ask(threads.ports[0]!)).threadId, threadId)
        assert.match(journal.exits[0]!, /^it did not answer for \d\.\d s/)
      },
    )
  })

  test('one that does not end is nobody any more, and comes back if it ever ends', async () => {
    await withThreads(
      await documentOf('first'),
      { watch: { silentMs: 1_500 } },
      async (threads, journal) => {
        const pipe = new BlockingPipe()
        const connection = new Connection(threads.ports[0]!)
        connection.send(`/block${pipe.path}`)
        await eventually(
          () => journal.stuck.length === 1,
          () => 'the thread to be given up',
        )
        assert.ok(threads.isStuck)
        assert.equal(threads.serving, 0)
        assert.deepEqual(journal.exits, [])
        await threads.updateEndpoints(addresses(2))
        pipe.release()
        await eventually(
          () => threads.serving === 1,
          () => 'a new thread',
        )
        assert.ok(!threads.isStuck)
        assert.equal((await ask(threads.ports[0]!)).services, 2)
        connection.close()
      },
    )
  })

  test('what cannot start says why and leaves nothing behind', async () => {
    await assert.rejects(
      withThreads(await documentOf('refused-by-0'), {}, async () => {}),
      /thread 0 refuses/,
    )
    await assert.rejects(
      withThreads(await documentOf('kills-0'), {}, async () => {}),
      /the thread ended: exit code 9/,
    )
  })

  test('the numbers of all threads are added up', async () => {
    await withThreads(await documentOf('first'), {}, async (threads) => {
      const connection = new Connection(threads.ports[0]!)
      await connection.ask('/')
      assert.deepEqual(await threads.stats(), { sockets: 1, generation: 1 })
      connection.close()
    })
  })
})
