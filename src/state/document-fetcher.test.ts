import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../lib/clock.ts'
import { DocumentFetcher } from './document-fetcher.ts'
import type { RemoteFollowing, RemoteSource } from './remote-documents.ts'

type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** A server, what it was asked, and a fetcher. All ends with the test. */
class Scene {
  readonly fetcher = new DocumentFetcher(systemClock)
  readonly asked: string[] = []
  /** How the next requests are answered. */
  answer: Answer
  readonly #server: Server

  private constructor(answer: Answer) {
    this.answer = answer
    this.#server = createServer((request, response) => {
      this.asked.push(request.url!)
      this.answer(response, request)
    })
  }

  static async of(t: TestContext, answer: Answer): Promise<Scene> {
    const scene = new Scene(answer)
    await new Promise<void>((resolve) => scene.#server.listen(0, '127.0.0.1', resolve))
    t.after(async () => {
      scene.fetcher.close()
      scene.#server.closeAllConnections()
      await new Promise((resolve) => scene.#server.close(resolve))
    })
    return scene
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  source(changes: Partial<RemoteSource> = {}): RemoteSource {
    return {
      url: `${this.origin}/keys`,
      timeoutMs: 5_000,
      bytesMax: 1_000,
      refetchMinMs: 60_000,
      refetchMaxMs: 120_000,
      ...changes,
    }
  }

  follow(source: RemoteSource): Follower {
    return new Follower(this.fetcher, source)
  }

  /** What one fetch that must fail says. */
  async failure(changes: Partial<RemoteSource> = {}): Promise<string> {
    const { following } = this.follow(this.source(changes))
    await following.refresh()
    assert.equal(following.current, null)
    return following.failure!
  }
}

class Follower {
  readonly texts: string[] = []
  readonly following: RemoteFollowing
  #wake: () => void = () => {}

  constructor(fetcher: DocumentFetcher, source: RemoteSource) {
    this.following = fetcher.follow(source, ({ text }) => {
      this.texts.push(text)
      this.#wake()
    })
  }

  /** Resolves when so many texts have come. */
  async has(count: number): Promise<void> {
    while (this.texts.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

function sends(body: string, headers: Record<string, string> = {}): Answer {
  return (response) => void response.writeHead(200, headers).end(body)
}

test('one fetch serves everybody, who comes later too', async (t) => {
  const scene = await Scene.of(t, sends('one'))
  const followers = Array.from({ length: 50 }, () => scene.follow(scene.source()))
  assert.deepEqual(
    followers.map(({ texts }) => texts.length),
    followers.map(() => 0),
    'nobody is called back within the call',
  )
  await Promise.all(followers.map(({ following }) => following.refresh()))
  for (const { texts } of followers) assert.deepEqual(texts, ['one'])
  const late = scene.follow(scene.source())
  assert.equal(late.following.current?.text, 'one')
  await late.has(1)
  assert.deepEqual(scene.asked, ['/keys'])
})

test('no two fetches begin closer together than allowed', async (t) => {
  const scene = await Scene.of(t, sends('one'))
  const { following } = scene.follow(scene.source())
  for (let turn = 0; turn < 20; turn++) await following.refresh()
  following.stop()
  // Coming and going does not help either.
  const again = scene.follow(scene.source())
  await again.following.refresh()
  assert.deepEqual(scene.asked, ['/keys'])
})

test('a refresh brings a newer text, and followers hear of it only if it is new', async (t) => {
  const scene = await Scene.of(t, sends('one'))
  const { following, texts } = scene.follow(scene.source({ refetchMinMs: 0 }))
  await following.refresh()
  await following.refresh()
  scene.answer = sends('two')
  await following.refresh()
  assert.deepEqual(texts, ['one', 'two'])
  assert.equal(scene.asked.length, 3)
})

test('the cache time decides when it is fetched again', async (t) => {
  let count = 0
  const scene = await Scene.of(t, (response) => {
    sends(`text ${++count}`, { 'cache-control': 'public, max-age=1', age: '1' })(
      response,
      {} as never,
    )
  })
  const follower = scene.follow(scene.source({ refetchMinMs: 20 }))
  await follower.has(3)
  assert.deepEqual(follower.texts.slice(0, 3), ['text 1', 'text 2', 'text 3'])
})

test('without a cache time it is fetched again after the longest time', async (t) => {
  for (const control of ['no-cache', 'no-store', 'max-age=0', 'private', 'max-age=100000']) {
    let count = 0
    const scene = await Scene.of(t, (response) =>
      sends(`${++count}`, { 'cache-control': control })(response, {} as never),
    )
    await scene.follow(scene.source({ refetchMinMs: 1, refetchMaxMs: 10 })).has(2)
    const slow = scene.follow(scene.source({ url: `${scene.origin}/slow` }))
    await slow.following.refresh()
    assert.equal(scene.asked.filter((path) => path === '/slow').length, 1)
    scene.fetcher.close()
  }
})

test('the last good text outlives failures, and the next good one ends them', async (t) => {
  const scene = await Scene.of(t, sends('one'))
  const { following, texts } = scene.follow(scene.source({ refetchMinMs: 0 }))
  await following.refresh()
  scene.answer = (response) => void response.writeHead(500).end('no')
  await following.refresh()
  assert.equal(following.current?.text, 'one')
  assert.equal(following.failure, 'it answered 500')
  scene.answer = (response) => response.destroy()
  await following.refresh()
  assert.equal(following.current?.text, 'one')
  assert.notEqual(following.failure, null)
  scene.answer = sends('two')
  await following.refresh()
  assert.equal(following.failure, null)
  assert.deepEqual(texts, ['one', 'two'])
})

test('after a failure it is tried again by itself, ever more seldom', async (t) => {
  let failures = 0
  const scene = await Scene.of(t, (response) => {
    if (++failures < 4) response.writeHead(503).end()
    else response.end('at last')
  })
  const follower = scene.follow(scene.source({ refetchMinMs: 5, refetchMaxMs: 1_000 }))
  await follower.has(1)
  assert.deepEqual(follower.texts, ['at last'])
  assert.equal(scene.asked.length, 4)
})

test('a redirect is followed within the origin only, and not in circles', async (t) => {
  const scene = await Scene.of(t, (response, { url }) => {
    const to = (location: string) => void response.writeHead(302, { location }).end()
    if (url === '/keys') to('/moved?a=1')
    else if (url === '/away') to('http://localhost:1/keys')
    else if (url === '/circle') to('/circle')
    else response.end('found')
  })
  const { following } = scene.follow(scene.source())
  await following.refresh()
  assert.equal(following.current?.text, 'found')
  const away = await scene.failure({ url: `${scene.origin}/away` })
  assert.equal(away, 'it leads to another origin')
  const circle = await scene.failure({ url: `${scene.origin}/circle` })
  assert.equal(circle, 'it leads in circles')
})

test('what is too large, too slow or not UTF-8 is a failure', async (t) => {
  const scene = await Scene.of(t, sends('x'.repeat(1_001)))
  assert.equal(await scene.failure(), 'it is larger than 1000 bytes')
  scene.answer = (response) => void response.writeHead(200).write('x'.repeat(2_000))
  assert.equal(await scene.failure({ timeoutMs: 4_000 }), 'it is larger than 1000 bytes')
  scene.answer = (response) => void response.writeHead(200).write('begins')
  assert.equal(await scene.failure({ timeoutMs: 100 }), 'it did not answer in time')
  scene.answer = (response) => void response.end(Buffer.from([0xff, 0xfe]))
  assert.match(await scene.failure({ timeoutMs: 4_001 }), /utf-8|encod/i)
  assert.match(await scene.failure({ url: 'http://127.0.0.1:1/' }), /ECONNREFUSED|bad port/)
})

test('whoever stopped hears nothing, and closing gives up what is under way', async (t) => {
  const scene = await Scene.of(t, (response, { url }) => {
    if (url !== '/never') response.end('one')
  })
  const stopped = scene.follow(scene.source())
  const other = scene.follow(scene.source())
  stopped.following.stop()
  await other.has(1)
  assert.deepEqual(stopped.texts, [])
  const { following } = scene.follow(scene.source({ url: `${scene.origin}/never` }))
  const waiting = following.refresh()
  scene.fetcher.close()
  await waiting
  assert.equal(following.current, null)
  await following.refresh()
})
