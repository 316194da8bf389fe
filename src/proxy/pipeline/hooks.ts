// Walks the stages that saw the request, for each moment after the first. What fails comes back as a
// value; what follows from it is the driver's decision.
import { Moment } from '../../observability/pulse.ts'
import type { Exchange } from './exchange.ts'
import type { PolicyLog, Verdict } from './policy.ts'
import { Reply } from './reply.ts'
import { runShadowed } from './shadow.ts'
import type { Stage } from './stage.ts'

/** A hook threw. */
export class HookFailure {
  readonly stage: Stage
  readonly error: unknown

  constructor(stage: Stage, error: unknown) {
    this.stage = stage
    this.error = error
  }
}

/** `onRequest` of one stage; it must have one. */
export function requestVerdict(exchange: Exchange, stage: Stage): Verdict | HookFailure {
  stage.mark.enter(Moment.onRequest)
  try {
    return stage.shadow ? runShadowed(exchange, stage.onRequest!) : stage.onRequest!(exchange)
  } catch (error) {
    return new HookFailure(stage, error)
  } finally {
    stage.mark.leave()
  }
}

/** `onForward`, first to last. `ran` has a bit for each stage that takes part. */
export function forwardThrough(
  exchange: Exchange,
  stages: readonly Stage[],
  ran: number,
): HookFailure | null {
  for (let i = 0; i < stages.length; i++) {
    const stage = stages[i]!
    if ((ran & (1 << i)) === 0 || stage.onForward === null) continue
    stage.mark.enter(Moment.onForward)
    try {
      if (stage.shadow) runShadowed(exchange, stage.onForward)
      else stage.onForward(exchange)
    } catch (error) {
      return new HookFailure(stage, error)
    } finally {
      stage.mark.leave()
    }
  }
  return null
}

/** `onResponse`, last to first. */
export function responseThrough(
  exchange: Exchange,
  stages: readonly Stage[],
  ran: number,
): HookFailure | null {
  for (let i = stages.length - 1; i >= 0; i--) {
    const stage = stages[i]!
    if ((ran & (1 << i)) === 0 || stage.onResponse === null) continue
    stage.mark.enter(Moment.onResponse)
    try {
      if (stage.shadow) runShadowed(exchange, stage.onResponse)
      else stage.onResponse(exchange)
    } catch (error) {
      return new HookFailure(stage, error)
    } finally {
      stage.mark.leave()
    }
  }
  return null
}

/** Which body goes through its stages. */
export const Direction = { request: 0, response: 1 } as const

/**
 * Passes a piece of a body, or its end (null), through the stages, each with what the one before let
 * through: a request's first to last, a response's last to first.
 * @returns what goes on (null: nothing), a reply that ends the exchange, or a failure.
 */
export function bodyThrough(
  exchange: Exchange,
  stages: readonly Stage[],
  ran: number,
  direction: number,
  data: Buffer | null,
): Buffer | Reply | HookFailure | null {
  return data === null
    ? endThrough(exchange, stages, ran, direction)
    : dataThrough(exchange, stages, ran, direction, data)
}

function dataThrough(
  exchange: Exchange,
  stages: readonly Stage[],
  ran: number,
  direction: number,
  data: Buffer,
): Buffer | Reply | HookFailure | null {
  let passed: Buffer | null = data
  for (let n = 0; n < stages.length && passed !== null; n++) {
    const index: number = direction === Direction.request ? n : stages.length - 1 - n
    const stage: Stage = stages[index]!
    if ((ran & (1 << index)) === 0) continue
    const result = passedBy(exchange, stage, direction, passed)
    if (result instanceof Reply || result instanceof HookFailure) return result
    passed = result
  }
  return passed
}

/** Tells the stages that the body has ended, and passes on what they still held. */
function endThrough(
  exchange: Exchange,
  stages: readonly Stage[],
  ran: number,
  direction: number,
): Buffer | Reply | HookFailure | null {
  let rest: Buffer | null = null
  for (let n = 0; n < stages.length; n++) {
    const index: number = direction === Direction.request ? n : stages.length - 1 - n
    const stage: Stage = stages[index]!
    if ((ran & (1 << index)) === 0) continue
    if (rest !== null) {
      const result = passedBy(exchange, stage, direction, rest)
      if (result instanceof Reply || result instanceof HookFailure) return result
      rest = result
    }
    const last = passedBy(exchange, stage, direction, null)
    if (last instanceof Reply || last instanceof HookFailure) return last
    if (last !== null) rest = rest === null ? last : Buffer.concat([rest, last])
  }
  return rest
}

/** One stage's answer to one piece of a body; a stage in shadow mode changes nothing. */
function passedBy(
  exchange: Exchange,
  stage: Stage,
  direction: number,
  data: Buffer | null,
): Buffer | Reply | HookFailure | null {
  const isRequest = direction === Direction.request
  const hook = isRequest ? stage.onRequestBody : stage.onResponseBody
  if (hook === null) return data
  stage.mark.enter(isRequest ? Moment.onRequestBody : Moment.onResponseBody)
  try {
    const result = hook(exchange, data)
    if (!stage.shadow) return result
    if (result instanceof Reply) stage.counters.shadowRejected()
    return data
  } catch (error) {
    return new HookFailure(stage, error)
  } finally {
    stage.mark.leave()
  }
}

/** `onFinish`, last to first; a hook that fails keeps none of the others from running. */
export function finishThrough(
  exchange: Exchange,
  stages: readonly Stage[],
  ran: number,
  log: PolicyLog,
): void {
  for (let i = stages.length - 1; i >= 0; i--) {
    const stage = stages[i]!
    if ((ran & (1 << i)) === 0 || stage.onFinish === null) continue
    stage.mark.enter(Moment.onFinish)
    try {
      stage.onFinish(exchange)
    } catch (error) {
      log.error({ policy: stage.id, error: String(error) }, 'policy failed in onFinish')
    } finally {
      stage.mark.leave()
    }
  }
}
