// Fresh tokens for sessions: one refresh at a time for each, whose outcome serves all requests that
// still come with the old cookie. A provider that sees a refresh token twice takes it for stolen.
import { hash } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import type { Kept } from '../../proxy/pipeline/policy.ts'
import { type Provider, ProviderFailure } from './provider.ts'
import { refreshedSession, type Session, type SessionRules } from './session.ts'

/** The session with fresh tokens; `over`: there is no more; `unavailable`: nobody can tell now. */
export type Refreshed = Session | 'over' | 'unavailable'

interface Entry {
  readonly outcome: Promise<Refreshed>
  /** Monotonic; infinite while it is under way. */
  endsAt: number
}

/** As long as a page that was loaded with the old cookie may still ask with it. */
const REMEMBERED_MS = 60_000
/** As long as an outcome stands that may be another the next time. */
const PAUSE_MS = 1_000
const ENTRIES_MAX = 1_000

/** The refreshes of one thread. */
export class SessionRefresh implements Kept {
  readonly #provider: Provider
  readonly #rules: SessionRules
  readonly #clock: Clock
  readonly #onFailure: (reason: string) => void
  readonly #entries = new Map<string, Entry>()

  constructor(
    provider: Provider,
    rules: SessionRules,
    clock: Clock,
    onFailure: (reason: string) => void,
  ) {
    this.#provider = provider
    this.#rules = rules
    this.#clock = clock
    this.#onFailure = onFailure
  }

  /** Never rejects. The session must have a refresh token. */
  refresh(session: Session): Promise<Refreshed> {
    const key = hash('sha256', session.refreshToken!, 'base64url')
    const known = this.#entries.get(key)
    if (known !== undefined && this.#clock.now() < known.endsAt) return known.outcome
    const outcome = this.#refresh(session)
    const entry: Entry = { outcome, endsAt: Number.POSITIVE_INFINITY }
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#makeRoom()
    void outcome.then((result) => {
      entry.endsAt = this.#clock.now() + this.#rememberedMs(session, result)
    })
    return outcome
  }

  #rememberedMs(before: Session, after: Refreshed): number {
    if (after === 'over') return REMEMBERED_MS
    // A refresh token that stays the same may be used again.
    if (after === 'unavailable' || after.refreshToken === before.refreshToken) return PAUSE_MS
    return Math.min(REMEMBERED_MS, after.tokensEndAtMs - this.#clock.wallTime())
  }

  dispose(): void {
    this.#entries.clear()
  }

  async #refresh(session: Session): Promise<Refreshed> {
    try {
      const tokens = await this.#provider.refresh(session.refreshToken!)
      return refreshedSession(session, tokens, this.#rules, this.#clock.wallTime()) ?? 'over'
    } catch (error) {
      this.#onFailure((error as Error).message)
      return error instanceof ProviderFailure && error.isUnavailable ? 'unavailable' : 'over'
    }
  }

  #makeRoom(): void {
    const now = this.#clock.now()
    for (const [key, { endsAt }] of this.#entries) {
      if (now < endsAt && this.#entries.size <= ENTRIES_MAX) return
      this.#entries.delete(key)
    }
  }
}
