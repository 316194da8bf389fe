// Fresh tokens for sessions: one refresh at a time for each, in all threads together, whose outcome serves
// all requests that still come with the old cookie. A provider that sees a refresh token twice takes it
// for stolen, and ends the session.
import { hash } from 'node:crypto'
import { BroadcastChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Kept, PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import { type Provider, ProviderFailure } from './provider.ts'
import { refreshedSession, type Session, type SessionRules } from './session.ts'

/** The session with fresh tokens; `over`: there is no more; `unavailable`: nobody can tell now. */
export type Refreshed = Session | 'over' | 'unavailable'

interface Entry {
  readonly outcome: Promise<Refreshed>
  /** Monotonic; infinite while it is under way. */
  endsAt: number
}

/** What the thread that refreshed tells the others. */
interface Told {
  readonly key: string
  readonly result: Refreshed
  readonly rememberedMs: number
}

/** As long as a page that was loaded with the old cookie may still ask with it. */
const REMEMBERED_MS = 60_000
/** As long as an outcome stands that may be another the next time. */
const PAUSE_MS = 1_000
const ENTRIES_MAX = 1_000

/** What refreshing needs. */
export interface RefreshParts {
  /** Equal in all threads, and for equal settings only. */
  readonly name: string
  readonly provider: Pick<Provider, 'refresh'>
  readonly rules: SessionRules
  /** The longest that the provider is waited for. */
  readonly timeoutMs: number
  readonly environment: Pick<PolicyEnvironment, 'clock' | 'places'>
  onFailure(reason: string): void
}

/** The refreshes of one thread, in agreement with those of the others. */
export class SessionRefresh implements Kept {
  readonly #parts: RefreshParts
  readonly #channel: BroadcastChannel
  readonly #entries = new Map<string, Entry>()
  /** Those who wait for another thread, by the key of the session. */
  readonly #awaited = new Map<string, (result: Refreshed) => void>()
  #isDisposed = false

  constructor(parts: RefreshParts) {
    this.#parts = parts
    this.#channel = new BroadcastChannel(`gatehouse refresh ${parts.name}`)
    this.#channel.onmessage = ({ data }) => this.#hear(data as Told)
    // To hear of refreshes is no reason to live on.
    this.#channel.unref()
  }

  /** Never rejects. The session must have a refresh token. */
  refresh(session: Session): Promise<Refreshed> {
    const key = hash('sha256', session.refreshToken!, 'base64url')
    const known = this.#known(key)
    if (known !== null) return known
    const { places } = this.#parts.environment
    if (!places.enter(`refresh ${key}`, 1)) return this.#keep(key, this.#await(key))
    // Whoever had the place before has told its outcome before it left.
    this.#listen()
    const told = this.#known(key)
    if (told !== null) {
      places.leave(`refresh ${key}`)
      return told
    }
    return this.#keep(key, this.#refreshHere(session, key))
  }

  dispose(): void {
    this.#isDisposed = true
    this.#channel.close()
    this.#entries.clear()
    for (const tell of [...this.#awaited.values()]) tell('unavailable')
  }

  #known(key: string): Promise<Refreshed> | null {
    const known = this.#entries.get(key)
    return known !== undefined && this.#parts.environment.clock.now() < known.endsAt
      ? known.outcome
      : null
  }

  #keep(key: string, outcome: Promise<Refreshed>, endsAt = Number.POSITIVE_INFINITY) {
    this.#entries.delete(key)
    this.#entries.set(key, { outcome, endsAt })
    this.#makeRoom()
    return outcome
  }

  async #refreshHere(session: Session, key: string): Promise<Refreshed> {
    const { clock, places } = this.#parts.environment
    const result = await this.#ask(session)
    const rememberedMs = this.#rememberedMs(session, result)
    const entry = this.#entries.get(key)
    if (entry !== undefined) entry.endsAt = clock.now() + rememberedMs
    if (!this.#isDisposed) {
      this.#channel.postMessage({ key, result, rememberedMs } satisfies Told)
    }
    places.leave(`refresh ${key}`)
    return result
  }

  /** Waits for the outcome of another thread, which may have died. */
  #await(key: string): Promise<Refreshed> {
    const { promise, resolve } = Promise.withResolvers<Refreshed>()
    const timer = setTimeout(() => {
      this.#awaited.delete(key)
      this.#entries.delete(key)
      resolve('unavailable')
    }, this.#parts.timeoutMs)
    timer.unref()
    this.#awaited.set(key, (result) => {
      clearTimeout(timer)
      this.#awaited.delete(key)
      resolve(result)
    })
    return promise
  }

  #hear({ key, result, rememberedMs }: Told): void {
    const endsAt = this.#parts.environment.clock.now() + rememberedMs
    this.#keep(key, Promise.resolve(result), endsAt)
    this.#awaited.get(key)?.(result)
  }

  /** Hears what was told already, without waiting for a turn of the loop. */
  #listen(): void {
    for (;;) {
      // It takes channels as well, which its types do not say.
      const received = receiveMessageOnPort(this.#channel as unknown as MessagePort)
      if (received === undefined) return
      this.#hear(received.message as Told)
    }
  }

  #rememberedMs(before: Session, after: Refreshed): number {
    if (after === 'over') return REMEMBERED_MS
    // A refresh token that stays the same may be used again.
    if (after === 'unavailable' || after.refreshToken === before.refreshToken) return PAUSE_MS
    const { clock } = this.#parts.environment
    return Math.min(REMEMBERED_MS, after.tokensEndAtMs - clock.wallTime())
  }

  async #ask(session: Session): Promise<Refreshed> {
    const { provider, rules, environment, onFailure } = this.#parts
    try {
      const tokens = await provider.refresh(session.refreshToken!)
      const now = environment.clock.wallTime()
      return refreshedSession(session, tokens, rules, now) ?? 'over'
    } catch (error) {
      onFailure((error as Error).message)
      return error instanceof ProviderFailure && error.isUnavailable ? 'unavailable' : 'over'
    }
  }

  #makeRoom(): void {
    const now = this.#parts.environment.clock.now()
    for (const [key, { endsAt }] of this.#entries) {
      if (now < endsAt && this.#entries.size <= ENTRIES_MAX) return
      this.#entries.delete(key)
    }
  }
}
