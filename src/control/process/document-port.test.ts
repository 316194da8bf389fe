// Documents over a port, against a fetcher that the test steers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { eventually } from '../../../test/support/changes.ts'
import type {
  RemoteDocument,
  RemoteDocuments,
  RemoteFollowing,
  RemoteSource,
} from '../../state/remote-documents.ts'
import { PortDocuments, serveDocuments } from './document-port.ts'

const source: RemoteSource = {
  url: 'https://id.example/jwks',
  timeoutMs: 1_000,
  bytesMax: 1_000,
  refetchMinMs: 0,
  refetchMaxMs: 1_000,
}

/** Hands out what the test says, when it says so. */
class SteeredDocuments implements RemoteDocuments {
  current: RemoteDocument | null = null
  failure: string | null = null
  refreshes = 0
  readonly followers = new Set<(document: RemoteDocument) => void>()
  #waiting: (() => void)[] = []

  follow(_: RemoteSource, onChange: (document: RemoteDocument) => void): RemoteFollowing {
    this.followers.add(onChange)
    const { followers } = this
    const documents = this
    return {
      get current() {
        return documents.current
      },
      get failure() {
        return documents.failure
      },
      refresh: () => {
        this.refreshes++
        return new Promise((resolve) => this.#waiting.push(resolve))
      },
      stop: () => void followers.delete(onChange),
    }
  }

  publish(text: string): void {
    this.current = { text, fetchedAtMs: 1 }
    for (const follower of this.followers) follower(this.current)
  }

  endRefreshes(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

function connect(documents: RemoteDocuments) {
  const { port1, port2 } = new MessageChannel()
  serveDocuments(port1, documents)
  return { thread: new PortDocuments(port2), port: port2 }
}

test('a thread sees what is known when it comes, and every change', async (t) => {
  const steered = new SteeredDocuments()
  steered.publish('first')
  const { thread, port } = connect(steered)
  t.after(() => port.close())
  const seen: string[] = []
  const following = thread.follow(source, ({ text }) => seen.push(text))
  await eventually(
    () => seen.length === 1,
    () => 'the document that is known',
  )
  steered.publish('second')
  await eventually(
    () => seen.length === 2,
    () => 'the next document',
  )
  assert.deepEqual(seen, ['first', 'second'])
  assert.equal(following.current?.text, 'second')
})

test('a refresh ends when the fetch is over, with its failure', async (t) => {
  const steered = new SteeredDocuments()
  const { thread, port } = connect(steered)
  t.after(() => port.close())
  const following = thread.follow(source, () => {})
  const refreshed = following.refresh()
  await eventually(
    () => steered.refreshes === 1,
    () => 'the refresh to arrive',
  )
  steered.failure = 'it answered 500'
  steered.endRefreshes()
  await refreshed
  assert.equal(following.failure, 'it answered 500')
  assert.equal(following.current, null)
})

test('who stops, or dies, follows nothing any more, and nobody waits for ever', async () => {
  const steered = new SteeredDocuments()
  const { thread, port } = connect(steered)
  const first = thread.follow(source, () => {})
  thread.follow(source, () => {})
  await eventually(
    () => steered.followers.size === 2,
    () => 'two followers',
  )
  const refreshed = first.refresh()
  first.stop()
  await refreshed
  await eventually(
    () => steered.followers.size === 1,
    () => 'one follower to leave',
  )
  port.close()
  await eventually(
    () => steered.followers.size === 0,
    () => 'the other to go with its thread',
  )
})
