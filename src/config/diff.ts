// What the step from one configuration to another means in effect, for the people who approve it.
import { isDeepStrictEqual } from 'node:util'
import { formatShare } from '../lib/units.ts'
import { policies } from '../policies/registry.ts'
import type { Document, PolicyUse, RouteDocument } from './schema.ts'

/** One difference. */
export interface Change {
  readonly kind: 'added' | 'removed' | 'changed'
  /** What it is about: `route GET /api/orders/*`, `service users`, `limits.bodyBytesMax`. */
  readonly subject: string
  /** What is different, a line each; empty when the kind says it all. */
  readonly details: readonly string[]
  /** Whether requests may pass now that had to show who they are before. */
  readonly loosens: boolean
}

/** Policies that find out who calls, or decide by it. */
const GUARDS: ReadonlySet<string> = new Set(
  policies
    .filter(({ provides, needs }) =>
      [...(provides ?? []), ...(needs ?? [])].some((fact) => fact === 'consumer'),
    )
    .map(({ name }) => name),
)

/** Everything that differs; first the routes, in the order of the newer file. */
export function diffDocuments(before: Document, after: Document): Change[] {
  return [
    ...routeChanges(before, after),
    ...namedChanges('service', before.services, after.services, ({ name }) => name),
    ...namedChanges('listener', before.listeners, after.listeners, ({ host, port }) => {
      return `${host}:${port}`
    }),
    ...valueChanges(before, after),
  ]
}

function routeChanges(before: Document, after: Document): Change[] {
  const changes: Change[] = []
  const old = new Map(before.routes.map((route) => [route.id, route]))
  for (const route of after.routes) {
    const known = old.get(route.id)
    old.delete(route.id)
    if (known === undefined) {
      const guards = stagesOf(route, after).filter(isGuard)
      const details = [
        guards.length === 0 ? 'asks nobody who they are' : `guarded by ${ids(guards)}`,
      ]
      changes.push({ kind: 'added', subject: `route ${route.id}`, details, loosens: false })
    } else {
      const details: string[] = []
      const loosens = compareRoutes(known, before, route, after, details)
      if (details.length > 0) {
        changes.push({ kind: 'changed', subject: `route ${route.id}`, details, loosens })
      }
    }
  }
  for (const { id } of old.values()) {
    changes.push({ kind: 'removed', subject: `route ${id}`, details: [], loosens: false })
  }
  return changes
}

/** Adds what differs to `details`. @returns whether a guard is gone or weaker. */
function compareRoutes(
  known: RouteDocument,
  before: Document,
  route: RouteDocument,
  after: Document,
  details: string[],
): boolean {
  if (!isDeepStrictEqual(known.match, route.match)) details.push('matches other requests')
  if (!isDeepStrictEqual(unmirrored(known), unmirrored(route))) {
    const others =
      targetOf(known) === targetOf(route) ? differingKeys(unmirrored(known), unmirrored(route)) : []
    details.push(
      others.length > 0
        ? `is forwarded with another ${others.join(', ')}`
        : `leads to ${targetOf(route)} (before: ${targetOf(known)})`,
    )
  }
  if (!isDeepStrictEqual(mirrorOf(known), mirrorOf(route))) {
    details.push(`copies ${copiesOf(route)} (before: ${copiesOf(known)})`)
  }
  const other = Object.keys(route).filter((key) => {
    const name = key as keyof RouteDocument
    return (
      !['id', 'match', 'target', 'use'].includes(key) &&
      !isDeepStrictEqual(known[name], route[name])
    )
  })
  if (other.length > 0) details.push(`has another ${other.join(', ')}`)
  return compareStages(stagesOf(known, before), stagesOf(route, after), details)
}

function compareStages(
  before: readonly PolicyUse[],
  after: readonly PolicyUse[],
  details: string[],
): boolean {
  let loosens = false
  const now = new Map(after.map((use) => [use.id, use]))
  for (const use of before) {
    const next = now.get(use.id)
    now.delete(use.id)
    if (next === undefined) {
      details.push(`no longer runs ${use.id}`)
      loosens ||= isGuard(use)
    } else if (!isDeepStrictEqual(use, next)) {
      const weaker =
        (use.mode === 'enforce' && next.mode === 'shadow') ||
        (use.when === null && next.when !== null)
      details.push(`runs ${use.id} ${howChanged(use, next)}`)
      loosens ||= weaker && isGuard(use)
    }
  }
  for (const id of now.keys()) details.push(`runs ${id} now`)
  const common = (list: readonly PolicyUse[], of: readonly PolicyUse[]): string[] =>
    list.filter(({ id }) => of.some((use) => use.id === id)).map(({ id }) => id)
  if (!isDeepStrictEqual(common(before, after), common(after, before))) {
    details.push(`runs its policies in another order: ${ids(after)}`)
  }
  return loosens
}

function howChanged(before: PolicyUse, after: PolicyUse): string {
  const changed: string[] = []
  if (before.policy !== after.policy) changed.push(`as ${after.policy}`)
  if (!isDeepStrictEqual(before.settings, after.settings)) changed.push('with other settings')
  if (before.mode !== after.mode) changed.push(`in mode ${after.mode}`)
  if (before.when !== after.when)
    changed.push(after.when === null ? 'always' : `only when ${after.when}`)
  return changed.join(', ')
}

function stagesOf(route: RouteDocument, document: Document): PolicyUse[] {
  return [...document.use, ...route.use]
}

function isGuard({ policy }: PolicyUse): boolean {
  return GUARDS.has(policy)
}

function ids(uses: readonly PolicyUse[]): string {
  return uses.map(({ id }) => id).join(', ')
}

function targetOf({ target }: RouteDocument): string {
  if (target.kind === 'forward') {
    return target.services.map(({ service, weight }) => `${service} (${weight})`).join(', ')
  }
  return target.kind === 'redirect' ? `a redirect to ${target.to}` : `an answer ${target.status}`
}

function unmirrored({ target }: RouteDocument): unknown {
  return target.kind === 'forward' ? { ...target, mirror: null } : target
}

function mirrorOf({ target }: RouteDocument) {
  return target.kind === 'forward' ? target.mirror : null
}

/** What the route's mirror gets, in words. */
function copiesOf(route: RouteDocument): string {
  const mirror = mirrorOf(route)
  if (mirror === null) return 'nothing'
  const { service, share, methods, compare } = mirror
  const compared = compare === null ? '' : ', compared'
  return `${formatShare(share)} of ${methods.join(', ')} to ${service}${compared}`
}

function namedChanges<T>(
  what: string,
  before: readonly T[],
  after: readonly T[],
  nameOf: (item: T) => string,
): Change[] {
  const changes: Change[] = []
  const old = new Map(before.map((item) => [nameOf(item), item]))
  for (const item of after) {
    const subject = `${what} ${nameOf(item)}`
    const known = old.get(nameOf(item))
    old.delete(nameOf(item))
    if (known === undefined) changes.push({ kind: 'added', subject, details: [], loosens: false })
    else {
      const details = differingKeys(known, item)
      if (details.length > 0) changes.push({ kind: 'changed', subject, details, loosens: false })
    }
  }
  for (const name of old.keys()) {
    changes.push({ kind: 'removed', subject: `${what} ${name}`, details: [], loosens: false })
  }
  return changes
}

/** Limits and what else the gateway as a whole is told, with both values where they are plain. */
function valueChanges(before: Document, after: Document): Change[] {
  const changes: Change[] = []
  const own = new Set(['routes', 'services', 'listeners', 'use', 'secrets'])
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  for (const name of names) {
    if (own.has(name)) continue
    const key = name as keyof Document
    if (isDeepStrictEqual(before[key], after[key])) continue
    changes.push({
      kind: 'changed',
      subject: name,
      details: differingKeys(before[key], after[key]),
      loosens: false,
    })
  }
  return changes
}

function differingKeys(before: unknown, after: unknown): string[] {
  if (!isRecord(before) || !isRecord(after)) return isPlain(before, after)
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  const changed = [...keys].filter((key) => !isDeepStrictEqual(before[key], after[key]))
  return changed.flatMap((key) => {
    const inside = differingKeys(before[key], after[key])
    if (inside.length === 0) return [key]
    const isNested = isRecord(before[key]) && isRecord(after[key])
    return inside.map((detail) => (isNested ? `${key}.${detail}` : `${key}: ${detail}`))
  })
}

/** Both values, if a person reads them at a glance; what might be a secret text is not shown. */
function isPlain(before: unknown, after: unknown): string[] {
  const isShown = (value: unknown): boolean =>
    value === null || typeof value === 'number' || typeof value === 'boolean'
  return isShown(before) && isShown(after) ? [`${before} → ${after}`] : []
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
