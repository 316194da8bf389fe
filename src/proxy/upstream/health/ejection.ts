// When an endpoint is taken out of use because requests fail there, and when it comes back.
import { Blocked, type SharedHealth } from './shared-health.ts'

/** What makes an endpoint an outlier, and for how long it is left out. */
export interface EjectionSettings {
  /** So many failures in a row eject. */
  readonly failuresInRow: number
  /** Such a part of the requests of the window ejects as well, of 1. */
  readonly failureRatio: number
  /** But not with fewer requests than this in the window. */
  readonly requestsMin: number
  readonly windowMs: number
  /** The first time; it doubles with every further one. */
  readonly timeMs: number
  readonly timeMaxMs: number
  /** At most this part of the endpoints is out at once, of 1; one always may be. */
  readonly shareMax: number
}

/**
 * Takes an endpoint out of use, unless too many are out already or no other would be left.
 * @param slots all endpoints of the service.
 * @returns whether this call did it.
 */
export function tryEject(
  health: SharedHealth,
  serviceSlot: number,
  slots: readonly number[],
  slot: number,
  settings: EjectionSettings,
): boolean {
  if ((health.blocked(slot) & Blocked.ejected) !== 0 || !health.tryLock(serviceSlot)) return false
  const may = mayEject(health, slots, slot, settings)
  if (may) {
    const { timeMs, timeMaxMs } = settings
    health.eject(slot, settings.failuresInRow, (level) =>
      Math.min(timeMs * 2 ** Math.min(level - 1, 30), timeMaxMs),
    )
  }
  health.unlock(serviceSlot)
  return may
}

function mayEject(
  health: SharedHealth,
  slots: readonly number[],
  slot: number,
  settings: EjectionSettings,
): boolean {
  if ((health.blocked(slot) & Blocked.ejected) !== 0) return false
  let ejected = 0
  let othersInUse = 0
  for (let index = 0; index < slots.length; index += 1) {
    const blocked = health.blocked(slots[index]!)
    if ((blocked & Blocked.ejected) !== 0) ejected += 1
    if (blocked === 0 && slots[index] !== slot) othersInUse += 1
  }
  const ejectedMax = Math.max(1, Math.floor(slots.length * settings.shareMax))
  return othersInUse > 0 && ejected < ejectedMax
}

/** Takes the endpoint into use again if its time is over. */
export function readmitIfDue(
  health: SharedHealth,
  serviceSlot: number,
  slot: number,
  now: number,
): void {
  if (health.ejectedForMs(slot, now) > 0 || !health.tryLock(serviceSlot)) return
  if (health.ejectedForMs(slot, now) <= 0 && (health.blocked(slot) & Blocked.ejected) !== 0) {
    health.readmit(slot)
  }
  health.unlock(serviceSlot)
}
