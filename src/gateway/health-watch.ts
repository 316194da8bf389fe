// The control plane's eye on the endpoints of all services: runs their checks, compares how they fail,
// and says what changed. What it finds out stands in the shared table, for all threads at once.
import { readFileSync } from 'node:fs'
import type { ServiceDocument } from '../config/schema.ts'
import { systemClock } from '../lib/clock.ts'
import { hostPort } from '../lib/host-port.ts'
import { type TimerWheel, WheelTimer } from '../lib/timer-wheel.ts'
import type { EndpointSettings } from '../proxy/upstream/endpoint.ts'
import { ActiveCheck, type CheckObserver } from '../proxy/upstream/health/active-check.ts'
import { readmitIfDue } from '../proxy/upstream/health/ejection.ts'
import { FailureRatios, SWEEP_MS } from '../proxy/upstream/health/failure-ratios.ts'
import type { ProbeTarget } from '../proxy/upstream/health/probe.ts'
import { Blocked, type SharedHealth } from '../proxy/upstream/health/shared-health.ts'
import { EndpointTls, UpstreamTls } from '../proxy/upstream/upstream-tls.ts'
import { IdentityWatch } from './identity-watch.ts'
import { ZoneWatch } from './zone-watch.ts'

/** A service with where it is now. */
export interface WatchedService {
  readonly service: ServiceDocument
  readonly slot: number
  readonly endpoints: readonly EndpointSettings[]
}

/** An endpoint that went out of use, or came back; or a zone in which too few are left. */
export interface HealthChange {
  /** 'service|address', or 'service|zone NAME' */
  readonly endpoint: string
  readonly state:
    | 'failing'
    | 'passing'
    | 'ejected'
    | 'readmitted'
    | 'unproven'
    | 'proven'
    | 'short'
    | 'sufficient'
  /** Why a check failed, or how many are left; '' else. */
  readonly reason: string
}

/** Who hears what is found. */
export interface HealthObserver {
  /** An endpoint went out of use, or came back. */
  onChange(change: HealthChange): void
  /** An endpoint of the service was ejected because too many of its requests failed. */
  onEjected(service: string): void
}

/** An endpoint that is watched. */
interface Watched {
  readonly settings: EndpointSettings
  /** What the check was made of; '' without one. */
  readonly made: string
  readonly check: ActiveCheck | null
  isEjected: boolean
}

interface KnownService {
  readonly document: ServiceDocument
  readonly tls: UpstreamTls | null
}

type Health = NonNullable<ServiceDocument['health']>

/** Watches all endpoints. */
export class HealthWatch extends WheelTimer {
  readonly #health: SharedHealth
  readonly #wheel: TimerWheel
  readonly #observer: HealthObserver
  readonly #ratios: FailureRatios
  readonly #identities: IdentityWatch
  readonly #zones: ZoneWatch
  readonly #watched = new Map<string, Watched>()
  /** What was known of services at the last `configure`, by name. */
  #services = new Map<string, KnownService>()

  constructor(health: SharedHealth, wheel: TimerWheel, observer: HealthObserver) {
    super()
    this.#health = health
    this.#wheel = wheel
    this.#observer = observer
    this.#ratios = new FailureRatios(health)
    this.#identities = new IdentityWatch(health, wheel, (endpoint, state, reason) =>
      observer.onChange({ endpoint, state, reason }),
    )
    this.#zones = new ZoneWatch(health, (endpoint, state, reason) =>
      observer.onChange({ endpoint, state, reason }),
    )
  }

  /** Settled when every endpoint that must prove who it is was asked once; null when all were. */
  firstProofs(): Promise<unknown> | null {
    return this.#identities.firstAnswers()
  }

  /**
   * Takes the services and addresses there are now. Checks that stay the same go on.
   * @param zone the gateway's own.
   * @throws Error naming the file of a new service's TLS settings that cannot be used.
   */
  configure(services: readonly WatchedService[], zone: string | null = null): void {
    const known = new Set<string>()
    const byName = new Map<string, KnownService>()
    for (const { service, endpoints } of services) {
      const before = this.#services.get(service.name)
      const tls = before?.document === service ? before.tls : tlsOf(service)
      byName.set(service.name, { document: service, tls })
      for (const settings of endpoints) {
        known.add(settings.key)
        this.#watch(service, settings, tls)
      }
    }
    for (const [key, { check }] of this.#watched) {
      if (known.has(key)) continue
      check?.stop()
      this.#identities.forget(key)
      this.#watched.delete(key)
    }
    this.#services = byName
    this.#zones.configure(services, zone)
    this.#ratios.configure(
      services.flatMap(({ service, slot, endpoints }) => {
        const slots = endpoints.map((endpoint) => endpoint.slot)
        const settings = service.ejection
        const onEjected = (): void => this.#observer.onEjected(service.name)
        return settings === null ? [] : [{ serviceSlot: slot, slots, settings, onEjected }]
      }),
    )
    if (!this.armed) this.#wheel.arm(this, SWEEP_MS)
  }

  close(): void {
    this.#wheel.cancel(this)
    this.#identities.close()
    for (const { check } of this.#watched.values()) check?.stop()
    this.#watched.clear()
  }

  override onTimeout(): void {
    this.#ratios.sweep()
    this.#zones.sweep()
    const now = this.#health.now()
    for (const watched of this.#watched.values()) {
      const { key, slot, serviceSlot } = watched.settings
      // Where nobody sends anything, nobody else looks.
      if ((this.#health.blocked(slot) & Blocked.ejected) !== 0) {
        readmitIfDue(this.#health, serviceSlot, slot, now)
      }
      this.#health.forgetOld(slot, now)
      const isEjected = (this.#health.blocked(slot) & Blocked.ejected) !== 0
      if (isEjected === watched.isEjected) continue
      watched.isEjected = isEjected
      const state = isEjected ? 'ejected' : 'readmitted'
      this.#observer.onChange({ endpoint: key, state, reason: '' })
    }
    this.#wheel.arm(this, SWEEP_MS)
  }

  #watch(service: ServiceDocument, settings: EndpointSettings, tls: UpstreamTls | null): void {
    const { health, identity } = service
    const { key, slot } = settings
    const before = this.#watched.get(key)
    const how = [settings, service.hostHeader, tls?.contents]
    const made = health === null ? '' : JSON.stringify([health, ...how])
    this.#identities.watch(
      settings,
      identity,
      identity === null ? '' : JSON.stringify([identity, ...how]),
      before === undefined,
      () => targetOf(service, null, settings, tls),
    )
    if (before !== undefined && before.made === made) return
    before?.check?.stop()
    if (before === undefined && this.#services.has(service.name)) this.#health.startUse(slot)
    if (health === null || !health.holdBack) this.#health.setBlocked(slot, Blocked.held, false)
    else if (before === undefined) this.#health.setBlocked(slot, Blocked.held, true)
    if (health === null) this.#health.setBlocked(slot, Blocked.failing, false)
    const check = health === null ? null : this.#check(service, health, settings, tls)
    const isEjected = before?.isEjected ?? false
    this.#watched.set(key, { settings, made, check, isEjected })
    check?.start()
  }

  #check(
    service: ServiceDocument,
    health: Health,
    settings: EndpointSettings,
    tls: UpstreamTls | null,
  ): ActiveCheck {
    const { key, slot } = settings
    const observer: CheckObserver = {
      onPassing: () => {
        this.#health.setBlocked(slot, Blocked.held, false)
        if (!this.#health.setBlocked(slot, Blocked.failing, false)) return
        // It failed, and was found to work again: what requests saw before says nothing any more.
        this.#health.setBlocked(slot, Blocked.ejected, false)
        this.#observer.onChange({ endpoint: key, state: 'passing', reason: '' })
      },
      onFailing: (reason) => {
        this.#health.setBlocked(slot, Blocked.failing, true)
        this.#observer.onChange({ endpoint: key, state: 'failing', reason })
      },
      // Certificates may have been renewed.
      onFailure: () => void tls?.reload().catch(() => {}),
    }
    const isFailing = (this.#health.blocked(slot) & Blocked.failing) !== 0
    const target = targetOf(service, health.port, settings, tls)
    return new ActiveCheck(target, health, isFailing, this.#wheel, observer)
  }
}

function targetOf(
  service: ServiceDocument,
  otherPort: number | null,
  { host, port, address, serverName }: EndpointSettings,
  tls: UpstreamTls | null,
): ProbeTarget {
  const checked = otherPort ?? port
  const name = address.slice(0, address.lastIndexOf(':'))
  const authority = checked === port ? address : hostPort(name.replace(/^\[|\]$/g, ''), checked)
  return {
    host,
    port: checked,
    tls: tls === null ? null : new EndpointTls(tls, serverName, systemClock),
    authority: service.hostHeader.value ?? authority,
  }
}

function tlsOf(service: ServiceDocument): UpstreamTls | null {
  if (service.tls === null || (service.health === null && service.identity === null)) return null
  return new UpstreamTls(service.tls, (path) => readFileSync(path, 'utf8'))
}
