// From the document to what exchanges run on. Takes it in steps, so that a thread can serve requests
// in between.
import type { ErrorCode } from '../errors.ts'
import type { TimerWheel } from '../lib/timer-wheel.ts'
import { TargetFlag } from '../proxy/http/message-head.ts'
import { TRAILERS_ALLOWED } from '../proxy/http/trailers.ts'
import type { LongLivedRegistry, OverloadGate } from '../proxy/pipeline/exchange-context.ts'
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { hookFlags, type RouteCounters, STAGES_MAX } from '../proxy/pipeline/route.ts'
import type { Route, Target } from '../proxy/pipeline/run.ts'
import type { Stage } from '../proxy/pipeline/stage.ts'
import { PreflightTarget, UnmatchedTarget } from '../proxy/pipeline/targets/respond.ts'
import { RoutingTableBuilder } from '../proxy/router/routing-table.ts'
import { Importance } from '../proxy/upstream/concurrency/importance.ts'
import type { Service, ServiceCounters, ServiceSettings } from '../proxy/upstream/service.ts'
import { compileConsumers, consumerImportance } from './compile-consumers.ts'
import { compileMirror, type MirrorEnvironment } from './compile-mirror.ts'
import { compileService } from './compile-service.ts'
import { StageCompiler, type StageEnvironment } from './compile-stage.ts'
import { TargetCompiler } from './compile-target.ts'
import type { Document, PolicyUse, RouteDocument } from './schema.ts'
import { Snapshot } from './snapshot.ts'

/** What a thread provides to the compiler. */
export interface CompileEnvironment
  extends Omit<StageEnvironment, 'consumers'>,
    Pick<MirrorEnvironment, 'mirrorCounters'> {
  readonly policies: ReadonlyMap<string, PolicyDefinition>
  readonly wheel: TimerWheel
  readonly longLived: LongLivedRegistry
  /** The thread's service of this name; its settings change only when the snapshot goes live. */
  service(name: string): Service
  routeCounters(routeId: string): RouteCounters
  serviceCounters(service: string): ServiceCounters
  countError(code: ErrorCode): void
  /** Lives as long as the thread. */
  readonly overload: OverloadGate
  /** Reads a file that the document names; what it returns is text. @throws when it cannot. */
  readFile(path: string): string
}

const NO_STAGES: readonly Stage[] = []

/** The id of what happens where no route matches. */
export const UNMATCHED_ROUTE_ID = '(unmatched)'

/**
 * Compiles in steps; run the generator to its end for the snapshot.
 * @throws Error with the place and the reason when a policy or a file refuses.
 */
export function* compileSnapshot(
  document: Document,
  generation: number,
  environment: CompileEnvironment,
): Generator<void, Snapshot> {
  const services = new Map<string, ServiceSettings>()
  for (const service of document.services) {
    services.set(service.name, compileService(service, environment, document.zone))
    yield
  }
  const stages = new StageCompiler(compileConsumers(document), environment)
  try {
    return yield* compileRoutes(document, generation, services, environment, stages)
  } catch (error) {
    for (const stage of stages.made) stage.dispose()
    throw error
  }
}

function* compileRoutes(
  document: Document,
  generation: number,
  services: ReadonlyMap<string, ServiceSettings>,
  environment: CompileEnvironment,
  stages: StageCompiler,
): Generator<void, Snapshot> {
  const builder = new RoutingTableBuilder<Route>()
  const targets = new TargetCompiler(document, environment)
  for (const route of document.routes) {
    const compiled = compileRoute(route, document, environment, targets.compile(route), stages)
    builder.add({ id: route.id, ...route.match, ...preflight(route, document), value: compiled })
    yield
  }
  const unmatched = plan(
    UNMATCHED_ROUTE_ID,
    document.use,
    new UnmatchedTarget(),
    environment,
    stages,
  )
  const identityFields = stages.identityFields()
  const trailers = [...TRAILERS_ALLOWED, ...document.limits.trailers]
  return new Snapshot({
    generation,
    document,
    table: builder.finish(),
    unmatched,
    services,
    forwarded: document.forwarded,
    viaLines: viaLines(document.via),
    trailersAllowed: new Set(trailers.filter((name) => identityFields?.has(name) !== true)),
    stages: stages.made,
    identityFields,
    clock: environment.clock,
    wheel: environment.wheel,
    log: environment.log,
    longLived: environment.longLived,
    consumerImportance: consumerImportance(document),
    overload: environment.overload,
    countError: environment.countError,
  })
}

function viaLines(name: string | null): [string, string] {
  return name === null ? ['', ''] : [`Via: 1.0 ${name}\r\n`, `Via: 1.1 ${name}\r\n`]
}

/** Compiles without a pause. */
export function compileAtOnce(
  document: Document,
  generation: number,
  environment: CompileEnvironment,
): Snapshot {
  const steps = compileSnapshot(document, generation, environment)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

function compileRoute(
  route: RouteDocument,
  document: Document,
  environment: CompileEnvironment,
  shared: Target,
  stages: StageCompiler,
): Route {
  const target =
    preflight(route, document) === null ? shared : new PreflightTarget(shared, route.match.methods)
  const forward = route.target.kind === 'forward' ? route.target : null
  const uses = [...document.use, ...route.use]
  const base = plan(route.id, uses, target, environment, stages, (slot) =>
    forward === null ? null : compileMirror(route, forward, environment, stages, slot),
  )
  const refused =
    (route.allowDoubleSlash ? 0 : TargetFlag.doubleSlash) |
    (route.allowEncodedPercent ? 0 : TargetFlag.encodedPercent) |
    (route.encodedSlash === 'keep' ? 0 : TargetFlag.encodedSlash)
  return {
    ...base,
    targetFlagsRefused: refused,
    upgrades: forward === null ? [] : forward.upgrade,
    exchangeTimeoutMs: forward === null ? 0 : exchangeTimeout(forward, document),
    importance: Importance[route.importance],
  }
}

/**
 * A browser asks with OPTIONS before it sends another method, so a route with CORS must match that as
 * well; null where it does anyway.
 */
function preflight(route: RouteDocument, document: Document): { methods: string[] } | null {
  const { methods } = route.match
  if (methods.length === 0 || methods.includes('OPTIONS')) return null
  const answers = (use: PolicyUse): boolean => use.policy === 'cors'
  if (!document.use.some(answers) && !route.use.some(answers)) return null
  return { methods: [...methods, 'OPTIONS'] }
}

type Forward = Extract<RouteDocument['target'], { kind: 'forward' }>

/** The route's own bound, or the longest of its services'. */
function exchangeTimeout(forward: Forward, document: Document): number {
  if (forward.timeouts.exchangeMs !== null) return forward.timeouts.exchangeMs
  let longest = 0
  for (const { service } of forward.services) {
    const timeouts = document.services.find(({ name }) => name === service)?.timeouts
    if (timeouts?.exchangeMs == null) return 0
    longest = Math.max(longest, timeouts.exchangeMs)
  }
  return longest
}

/**
 * The stages and their flags; the rest is what no route asks for.
 * @param lastStage makes the one after those of policies, if there is one.
 */
function plan(
  id: string,
  uses: readonly PolicyUse[],
  target: Target,
  environment: CompileEnvironment,
  compiler: StageCompiler,
  lastStage: (slot: () => number) => Stage | null = () => null,
): Route {
  if (uses.length > STAGES_MAX) {
    throw new Error(
      `route ${id}: ${uses.length} policies; at most ${STAGES_MAX} can run on one route`,
    )
  }
  let slots = 0
  const stages: Stage[] = []
  let transformsRequestBody = false
  let transformsResponseBody = false
  for (const use of uses) {
    const definition = environment.policies.get(use.policy)
    if (definition === undefined) throw new Error(`route ${id}: there is no policy "${use.policy}"`)
    stages.push(compiler.compile(id, use, definition, () => slots++))
    if (definition.body?.request === 'transform') transformsRequestBody = true
    if (definition.body?.response === 'transform') transformsResponseBody = true
  }
  const last = lastStage(() => slots++)
  if (last !== null) stages.push(last)
  return {
    id,
    stages: stages.length === 0 ? NO_STAGES : stages,
    ...hookFlags(stages),
    transformsRequestBody,
    transformsResponseBody,
    slots,
    targetFlagsRefused: 0,
    upgrades: [],
    exchangeTimeoutMs: 0,
    importance: Importance.normal,
    counters: environment.routeCounters(id),
    target,
  }
}
