// The control plane's doubts: which endpoints have not shown yet, or must show again, that they belong to
// their service. Threads mark those they could not connect to; here they are asked.
import type { ServiceDocument } from '../config/schema.ts'
import { type TimerWheel, WheelTimer } from '../lib/timer-wheel.ts'
import type { EndpointSettings } from '../proxy/upstream/endpoint.ts'
import { IdentityCheck } from '../proxy/upstream/health/identity-check.ts'
import type { ProbeTarget } from '../proxy/upstream/health/probe.ts'
import { Blocked, type SharedHealth } from '../proxy/upstream/health/shared-health.ts'

type Identity = NonNullable<ServiceDocument['identity']>

/** Hears when an endpoint proved itself, or did not. */
export type OnIdentity = (endpoint: string, state: 'proven' | 'unproven', reason: string) => void

interface Asked {
  readonly slot: number
  readonly made: string
  readonly check: IdentityCheck
}

/** How often is looked for endpoints that threads could not connect to. */
const LOOK_MS = 100

/** Watches the identity of all endpoints whose service asks for it. */
export class IdentityWatch extends WheelTimer {
  readonly #health: SharedHealth
  readonly #wheel: TimerWheel
  readonly #onChange: OnIdentity
  readonly #asked = new Map<string, Asked>()
  /** What was said of each endpoint last: once, not after every check. */
  readonly #told = new Map<string, string>()

  constructor(health: SharedHealth, wheel: TimerWheel, onChange: OnIdentity) {
    super()
    this.#health = health
    this.#wheel = wheel
    this.#onChange = onChange
  }

  /**
   * An endpoint is there, and to be asked if `identity` is not null. One that is new is not used before
   * it proved itself; one that was in use already is asked at once, and used meanwhile.
   * @param made another text when it is to be asked in another way.
   */
  watch(
    { key, slot }: EndpointSettings,
    identity: Identity | null,
    made: string,
    isNew: boolean,
    target: () => ProbeTarget,
  ): void {
    const before = this.#asked.get(key)
    if (identity === null) {
      this.forget(key)
      this.#health.setBlocked(slot, Blocked.unproven, false)
      return
    }
    if (before !== undefined && before.made === made) return
    before?.check.stop()
    if (isNew) this.#health.setBlocked(slot, Blocked.unproven, true)
    const check = new IdentityCheck(target(), identity, this.#wheel, {
      onProven: () => {
        this.#health.setBlocked(slot, Blocked.unproven, false)
        if (this.#told.delete(key)) this.#onChange(key, 'proven', '')
      },
      onUnproven: (reason) => this.#unproven(key, slot, reason),
    })
    this.#asked.set(key, { slot, made, check })
    check.start()
    if (!this.armed) this.#wheel.arm(this, LOOK_MS)
  }

  /** An endpoint is gone. */
  forget(key: string): void {
    this.#asked.get(key)?.check.stop()
    this.#asked.delete(key)
    this.#told.delete(key)
  }

  /** Settled when every endpoint was asked once; null when all were. */
  firstAnswers(): Promise<unknown> | null {
    const pending = [...this.#asked.values()].filter(({ check }) => !check.isAnswered)
    return pending.length === 0 ? null : Promise.all(pending.map(({ check }) => check.first))
  }

  close(): void {
    this.#wheel.cancel(this)
    for (const { check } of this.#asked.values()) check.stop()
    this.#asked.clear()
  }

  override onTimeout(): void {
    for (const { slot, check } of this.#asked.values()) {
      if ((this.#health.blocked(slot) & Blocked.unproven) !== 0) check.soon()
    }
    if (this.#asked.size > 0) this.#wheel.arm(this, LOOK_MS)
  }

  #unproven(key: string, slot: number, reason: string): void {
    this.#health.setBlocked(slot, Blocked.unproven, true)
    if (this.#told.get(key) === reason) return
    this.#told.set(key, reason)
    this.#onChange(key, 'unproven', reason)
  }
}
