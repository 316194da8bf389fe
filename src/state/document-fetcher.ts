// Fetches remote documents over HTTP for everybody who follows them: one fetch at a time for each,
// again before its cache time ends, and the last good text is kept through failures.
import type { Clock } from '../lib/clock.ts'
import type {
  RemoteDocument,
  RemoteDocuments,
  RemoteFollowing,
  RemoteSource,
} from './remote-documents.ts'

const REDIRECTS_MAX = 3
/** A document that nobody follows keeps its place this much longer than `refetchMinMs`. */
const LINGER_MS = 1_000
/** The longest that a timer of node can wait. */
const TIMER_MAX_MS = 0x7fff_ffff

/** Follows documents of other servers. */
export class DocumentFetcher implements RemoteDocuments {
  readonly #clock: Clock
  readonly #watched = new Map<string, Watched>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  follow(source: RemoteSource, onChange: (document: RemoteDocument) => void): RemoteFollowing {
    const { url, timeoutMs, bytesMax, refetchMinMs, refetchMaxMs } = source
    const key = JSON.stringify([url, timeoutMs, bytesMax, refetchMinMs, refetchMaxMs])
    let watched = this.#watched.get(key)
    if (watched === undefined) {
      watched = new Watched(source, this.#clock, () => this.#watched.delete(key))
      this.#watched.set(key, watched)
    }
    return watched.follow(onChange)
  }

  /** Stops everything, fetches under way included. */
  close(): void {
    for (const watched of this.#watched.values()) watched.close()
    this.#watched.clear()
  }
}

/** One document with everybody who follows it. */
class Watched {
  current: RemoteDocument | null = null
  failure: string | null = null
  readonly #source: RemoteSource
  readonly #clock: Clock
  readonly #onUnused: () => void
  readonly #followers = new Set<Follower>()
  #fetching: Promise<void> | null = null
  #abort: AbortController | null = null
  #timer: NodeJS.Timeout | null = null
  #startedAt = Number.NEGATIVE_INFINITY
  #failures = 0
  #closed = false

  constructor(source: RemoteSource, clock: Clock, onUnused: () => void) {
    this.#source = source
    this.#clock = clock
    this.#onUnused = onUnused
  }

  follow(onChange: (document: RemoteDocument) => void): RemoteFollowing {
    const follower = new Follower(this, onChange)
    const isFirst = this.#followers.size === 0
    this.#followers.add(follower)
    if (this.#closed) return follower
    const { current } = this
    if (current !== null) queueMicrotask(() => follower.tell(current))
    if (isFirst && this.#fetching === null) this.#schedule(this.#untilAllowed())
    return follower
  }

  leave(follower: Follower): void {
    if (!this.#followers.delete(follower) || this.#followers.size > 0 || this.#closed) return
    // It stays a while, so that whoever comes and goes can't make it be fetched all the time.
    this.#wait(this.#untilAllowed() + LINGER_MS, () => {
      this.close()
      this.#onUnused()
    })
  }

  refresh(): Promise<void> {
    if (this.#fetching !== null) return this.#fetching
    if (this.#closed || this.#untilAllowed() > 0) return Promise.resolve()
    return this.#begin()
  }

  close(): void {
    this.#closed = true
    this.#abort?.abort()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #untilAllowed(): number {
    return Math.max(0, this.#startedAt + this.#source.refetchMinMs - this.#clock.now())
  }

  #schedule(delayMs: number): void {
    if (delayMs > 0) this.#wait(delayMs, () => this.#due())
    else void this.#begin()
  }

  /** A timer may ring before its time by the clock that counts. */
  #due(): void {
    if (this.#fetching === null) this.#schedule(this.#untilAllowed())
  }

  #wait(delayMs: number, then: () => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(then, Math.min(Math.ceil(delayMs), TIMER_MAX_MS))
    this.#timer.unref()
  }

  #begin(): Promise<void> {
    this.#startedAt = this.#clock.now()
    this.#abort = new AbortController()
    this.#fetching = this.#fetch(this.#abort.signal)
    return this.#fetching
  }

  async #fetch(closed: AbortSignal): Promise<void> {
    const { refetchMinMs, refetchMaxMs } = this.#source
    let delayMs: number
    try {
      const { text, freshMs } = await fetchText(this.#source, closed)
      if (this.#closed) return
      const changed = text !== this.current?.text
      this.current = { text, fetchedAtMs: this.#clock.wallTime() }
      this.failure = null
      this.#failures = 0
      delayMs = Math.max(refetchMinMs, Math.min(freshMs, refetchMaxMs))
      if (changed) for (const follower of [...this.#followers]) follower.tell(this.current)
    } catch (error) {
      this.failure = reasonOf(error)
      delayMs = Math.max(refetchMinMs, Math.min(refetchMinMs * 2 ** this.#failures, refetchMaxMs))
      this.#failures++
    } finally {
      this.#fetching = null
      this.#abort = null
    }
    if (!this.#closed && this.#followers.size > 0) this.#schedule(Math.max(delayMs, 1))
  }
}

class Follower implements RemoteFollowing {
  readonly #watched: Watched
  readonly #onChange: (document: RemoteDocument) => void
  #stopped = false
  #told: string | null = null

  constructor(watched: Watched, onChange: (document: RemoteDocument) => void) {
    this.#watched = watched
    this.#onChange = onChange
  }

  get current(): RemoteDocument | null {
    return this.#watched.current
  }

  get failure(): string | null {
    return this.#watched.failure
  }

  refresh(): Promise<void> {
    return this.#stopped ? Promise.resolve() : this.#watched.refresh()
  }

  stop(): void {
    this.#stopped = true
    this.#watched.leave(this)
  }

  tell(document: RemoteDocument): void {
    if (this.#stopped || this.#told === document.text) return
    this.#told = document.text
    this.#onChange(document)
  }
}

/** A text with how long it may be believed; infinite where the server does not say. */
interface Fetched {
  readonly text: string
  readonly freshMs: number
}

async function fetchText(source: RemoteSource, closed: AbortSignal): Promise<Fetched> {
  const signal = AbortSignal.any([closed, AbortSignal.timeout(source.timeoutMs)])
  let url = source.url
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, {
      redirect: 'manual',
      signal,
      headers: { accept: 'application/json, */*;q=0.5', 'user-agent': 'gatehouse' },
    })
    if (response.status === 200) {
      const text = await boundedText(response, source.bytesMax)
      return { text, freshMs: freshness(response.headers) }
    }
    await response.body?.cancel()
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || location === null) {
      throw new Error(`it answered ${response.status}`)
    }
    const next = URL.parse(location, url)
    if (next === null || next.origin !== new URL(url).origin) {
      throw new Error('it leads to another origin')
    }
    if (redirects === REDIRECTS_MAX) throw new Error('it leads in circles')
    url = next.href
  }
}

async function boundedText(response: Response, bytesMax: number): Promise<string> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.byteLength
    if (length > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`)
    parts.push(part)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
}

/** The rest of the cache time that a response states (RFC 9111 5.2.2, 5.1), in milliseconds. */
function freshness(headers: Headers): number {
  const control = headers.get('cache-control') ?? ''
  const maxAge = Number(/(?:^|[\s,])max-age="?([0-9]{1,10})(?![0-9])/i.exec(control)?.[1] ?? 0)
  // Key sets are often served as not to be cached; to ask for them all the time helps nobody.
  if (maxAge === 0) return Number.POSITIVE_INFINITY
  const age = Number(/^[0-9]{1,10}$/.exec(headers.get('age') ?? '')?.[0] ?? 0)
  return Math.max(0, maxAge - age) * 1000
}

function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Error
  if (name === 'TimeoutError') return 'it did not answer in time'
  if (name === 'AbortError') return 'it was given up'
  const { code, message: deeper } = (cause ?? {}) as NodeJS.ErrnoException
  return code ?? deeper ?? message
}
