// What the configuration says of a route's mirror, compiled to the route's last stage.
import type { TimerWheel } from '../lib/timer-wheel.ts'
import type { CompareSettings } from '../proxy/pipeline/mirror/captured-answer.ts'
import { IgnoredPaths } from '../proxy/pipeline/mirror/json-difference.ts'
import { mirrorHooks } from '../proxy/pipeline/mirror/mirror.ts'
import { type MirrorCounters, RouteCopies } from '../proxy/pipeline/mirror/mirror-plan.ts'
import { MirrorRoom } from '../proxy/pipeline/mirror/mirror-room.ts'
import { MIRROR_HEADER } from '../proxy/pipeline/mirror/mirrored-exchange.ts'
import { Stage, type StageCounters } from '../proxy/pipeline/stage.ts'
import type { Service } from '../proxy/upstream/service.ts'
import type { StageCompiler, StageEnvironment } from './compile-stage.ts'
import type { ForwardDocument, RouteDocument } from './schema.ts'

/** The part of the compiler's environment that mirrors need. */
export interface MirrorEnvironment
  extends Pick<StageEnvironment, 'clock' | 'log' | 'state' | 'stageMark'> {
  readonly wheel: TimerWheel
  service(name: string): Service
  mirrorCounters(routeId: string): MirrorCounters
}

/** It rejects nothing, and its failures stay its own. */
const NO_COUNTERS: StageCounters = {
  rejected() {},
  shadowRejected() {},
  failed() {},
  conditionFailed() {},
}

/**
 * The stage of a route that has a mirror.
 * @param slot reserves a place in the slots of the route's exchanges.
 */
export function compileMirror(
  route: RouteDocument,
  target: ForwardDocument,
  environment: MirrorEnvironment,
  stages: StageCompiler,
  slot: () => number,
): Stage | null {
  const { mirror } = target
  if (mirror === null) return null
  const { clock, log, wheel } = environment
  const { kept } = environment.state
  const keys = ['mirror', `mirror ${route.id}`] as const
  const room = kept.acquire(keys[0], () => new MirrorRoom())
  const copies = kept.acquire(keys[1], () => new RouteCopies())
  const hooks = mirrorHooks(
    {
      route: route.id,
      service: environment.service(mirror.service),
      host: target.rewrite?.host ?? null,
      upgrades: target.upgrade,
      share: mirror.share,
      methods: new Set(mirror.methods),
      bodyBytesMax: mirror.bodyBytesMax,
      timeoutMs: mirror.timeoutMs,
      inFlightMax: mirror.inFlightMax,
      compare: compareSettings(mirror.compare),
      copies,
      room,
      counters: environment.mirrorCounters(route.id),
      clock,
      wheel,
      log,
    },
    slot(),
  )
  const use = { policy: 'mirror', id: 'mirror', mode: 'enforce' as const }
  const mark = environment.stageMark(use.id, route.id)
  const stage = new Stage(use, hooks, null, NO_COUNTERS, mark, () => {
    for (const key of keys) kept.release(key)
  })
  return stages.add(stage, [MIRROR_HEADER.toLowerCase()])
}

type CompareDocument = NonNullable<ForwardDocument['mirror']>['compare']

function compareSettings(compare: CompareDocument): CompareSettings | null {
  if (compare === null) return null
  const { status, headers, json, bodyBytesMax } = compare
  const ignored = json === null ? null : IgnoredPaths.of(json.ignore)
  return { status, headers, ignored, bodyBytesMax }
}
