// The driver: takes one exchange through its moments. All control flow on the client's side is here;
// policies, targets and connections are leaves that report back.
import type { ErrorCode } from '../../errors.ts'
import type { FieldEdits } from '../http/compose-head.ts'
import { LINGER_TIMEOUT_MS } from '../http/limits.ts'
import type { RequestHead, ResponseHead } from '../http/message-head.ts'
import type { RequestSink } from '../http/request-sink.ts'
import { BodyMode } from '../http/response-writer.ts'
import type { ServerConnection } from '../http/server-connection.ts'
import { passedTrailers } from '../http/trailers.ts'
import { passedUpgrade } from '../http/upgrade.ts'
import type { RoutingTable } from '../router/routing-table.ts'
import { endsConnection, refusalAtEntry } from './admission.ts'
import { BodyIntake, type BodyOwner } from './body-intake.ts'
import { type ClientInfo, Exchange } from './exchange.ts'
import type { ExchangeContext, LongLived, UpstreamSide } from './exchange-context.ts'
import { finish, sendReply } from './finish.ts'
import {
  bodyThrough,
  Direction,
  forwardThrough,
  HookFailure,
  requestVerdict,
  responseThrough,
} from './hooks.ts'
import { Afterlife, isEventStream, lastStages } from './long-lived.ts'
import { failure, Reply } from './reply.ts'
import { bodyMode, tunnelHead, upstreamHead } from './response-head.ts'
import type { RoutePlan } from './route.ts'
import { leavePlace } from './service-place.ts'
import { copyOf } from './shadow.ts'
import type { Stage } from './stage.ts'

/** Where a route leads. */
export interface Target {
  /** All request stages passed: answer, or begin to. */
  handle(run: ExchangeRun): void
}

/** A route with its target: what the routing table holds. */
export interface Route extends RoutePlan {
  readonly target: Target
}

/** What all exchanges of one snapshot share. */
export interface RunContext extends ExchangeContext {
  readonly table: RoutingTable<Route>
  /** What happens where no route matches: the stages of every route, then 404 or 405. */
  readonly unmatched: Route
}

const NO_DATA = Buffer.alloc(0)
const Phase = { request: 0, waiting: 1, target: 2, responding: 3, tunnel: 4, finished: 5 } as const

/** One exchange on its way. */
export class ExchangeRun extends Exchange implements RequestSink, BodyOwner, LongLived {
  readonly connection: ServerConnection
  /** What it began on; something smaller once it may last for days. */
  context: ExchangeContext
  plan: Route
  /** What may be believed of the client's Forwarded and X-Forwarded-*: the head, or null. */
  readonly trustedHead: RequestHead | null
  upstream: UpstreamSide | null = null
  /** The body on its way to an attempt; null when the request has none. */
  body: BodyIntake | null
  requestEnded = false
  #phase: number = Phase.request
  #stage = 0
  #ran = 0
  #editsBefore: FieldEdits | null | undefined = undefined

  constructor(
    connection: ServerConnection,
    head: RequestHead,
    client: ClientInfo,
    trusted: boolean,
    context: RunContext,
  ) {
    super(head, client, context.clock.now(), context.clock.wallTime())
    this.connection = connection
    this.context = context
    this.plan = context.unmatched
    this.trustedHead = trusted ? head : null
    this.body = this.requestHasBody ? new BodyIntake(connection, this) : null
  }

  get isFinished(): boolean {
    return this.#phase === Phase.finished
  }

  /** Whether the answer has begun, or the exchange has ended without one. */
  get isAnswered(): boolean {
    return this.#phase >= Phase.responding
  }

  /** Finds the route and begins. */
  start(): void {
    const context = this.context as RunContext
    context.enter()
    this.requestEnded = !this.requestHasBody
    context.identityFields?.removeFrom(this.request)
    // OPTIONS * asks about the server, not about any path a route could match.
    const found = this.target === '*' ? null : context.table.find(this)
    if (found === null) this.allow = context.table.allow
    else {
      this.plan = found
      this.pathParameters = context.table.lastParameters
    }
    const { plan } = this
    this.route = plan
    if (plan.slots > 0) this.slots = new Array(plan.slots).fill(null)
    if (plan.exchangeTimeoutMs > 0) context.wheel.arm(this, plan.exchangeTimeoutMs, this.receivedAt)
    const refusal = refusalAtEntry(this, plan, context, this.connection.host.limits.bodyBytesMax)
    if (refusal !== null) {
      if (endsConnection(refusal)) this.connection.closing = true
      this.fail(refusal)
      return
    }
    this.upgrade = passedUpgrade(this.request, plan.upgrades)
    this.#runRequest()
  }

  #runRequest(): void {
    const { stages } = this.plan
    this.#phase = Phase.request
    while (this.#stage < stages.length) {
      const index = this.#stage++
      const stage = stages[index]!
      if (!stage.appliesTo(this)) continue
      this.#ran |= 1 << index
      if (stage.onRequest === null) continue
      const verdict = requestVerdict(this, stage)
      if (verdict === undefined) continue
      if (verdict instanceof Reply) {
        if (this.#stopsAt(stage, verdict)) return
        continue
      }
      if (verdict instanceof HookFailure) this.#policyFailed(stage, verdict.error)
      else this.#await(stage, verdict)
      return
    }
    this.#phase = Phase.target
    if (this.body === null) this.proceed()
    else this.body.admit(this.#ran)
  }

  proceed(): void {
    this.plan.target.handle(this)
  }

  #await(stage: Stage, verdict: Promise<void | Reply>): void {
    this.#phase = Phase.waiting
    verdict.then(
      (reply) => {
        if (this.#phase !== Phase.waiting) return
        if (reply instanceof Reply && this.#stopsAt(stage, reply)) return
        this.#runRequest()
      },
      (error: unknown) => {
        if (this.#phase === Phase.waiting) this.#policyFailed(stage, error)
      },
    )
  }

  /** Whether the reply ends the walk; that of a shadowed stage is only counted. */
  #stopsAt(stage: Stage, reply: Reply): boolean {
    if (stage.countStop()) this.respond(reply)
    return !stage.shadow
  }

  #policyFailed(stage: Stage, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.context.log.error({ route: this.plan.id, policy: stage.id, error: text }, 'policy failed')
    stage.counters.failed()
    this.errorDetail = `policy ${stage.id}`
    this.fail('policy_failed')
  }

  onRequestData(data: Buffer): void {
    this.requestBytes += data.length
    if (this.#phase === Phase.finished) return
    if (this.#phase === Phase.tunnel) {
      if (!this.armed && this.upstream?.onRequestData(data) === false)
        this.connection.pauseRequest()
    } else if (this.requestBytes > this.connection.host.limits.bodyBytesMax) {
      this.fail('body_too_large')
    } else this.body?.offer(data)
  }

  onRequestEnd(trailers: string): void {
    if (this.#phase === Phase.finished) return
    this.requestEnded = true
    if (this.#phase === Phase.tunnel) this.upstream?.onRequestEnd('')
    else this.body?.end(passedTrailers(trailers, this.context.trailersAllowed))
  }

  passBody(data: Buffer | null, ran: number): Buffer | null {
    return this.plan.hasRequestBodyHooks ? this.#through(Direction.request, data, ran) : data
  }

  /** Runs the onForward hooks for one attempt, on the edits as they were before the first. */
  runForward(): void {
    if (this.#editsBefore === undefined) this.#editsBefore = copyOf(this.requestEdits)
    else this.requestEdits = copyOf(this.#editsBefore)
    const failure = forwardThrough(this, this.plan.stages, this.#ran)
    if (failure !== null) this.#policyFailed(failure.stage, failure.error)
  }

  onRequestFailed(code: ErrorCode): void {
    if (this.#phase === Phase.finished) return
    if (code === 'client_closed') this.#abandon(code)
    else this.fail(code)
  }

  /** The exchange ran out of its time, or a tunnel that was ended early did not end by itself. */
  onTimeout(): void {
    if (this.#phase === Phase.tunnel) this.upstream?.abort()
    else this.upstream?.expire()
    this.endTunnel(true)
    this.fail('exchange_timeout')
  }

  endEarly(): void {
    const { upstream } = this
    if (this.#phase === Phase.tunnel) {
      // Both sides hear the end of the other, and have a moment for their own.
      this.connection.endTunnel()
      upstream?.onRequestEnd('')
      this.context.wheel.arm(this, LINGER_TIMEOUT_MS)
    } else if (this.#phase === Phase.responding) {
      upstream?.abort()
      this.endResponse('')
    }
  }

  /** Ends the exchange with a failure of the catalogue, or, once the answer has begun, cuts it off. */
  fail(code: ErrorCode): void {
    if (this.#phase === Phase.finished) return
    if (this.#phase >= Phase.responding) this.#abandon(code)
    else this.respond(failure(code, this.errorDetail))
  }

  /** Answers with a reply of the gateway's own. */
  respond(reply: Reply): void {
    if (this.#phase >= Phase.responding) return
    this.#phase = Phase.responding
    const upstream = this.upstream
    this.upstream = null
    upstream?.abort()
    this.localReply = reply
    this.response = null
    this.status = reply.status
    if (reply.code !== null) this.errorCode = reply.code
    if (!this.#runResponse()) return
    this.#sendReply(this.localReply ?? reply)
  }

  #sendReply(reply: Reply): void {
    let { body } = reply
    if (this.plan.hasResponseBodyHooks && body.length > 0) {
      const first = this.#through(Direction.response, body) ?? NO_DATA
      body = Buffer.concat([first, this.#through(Direction.response, null) ?? NO_DATA])
    }
    sendReply(this, reply, body)
    this.#finish()
  }

  /** Runs the response stages. @returns false when one failed and that was answered instead. */
  #runResponse(): boolean {
    if (!this.plan.hasResponseHooks || this.#ran === 0) return true
    const failure = responseThrough(this, this.plan.stages, this.#ran)
    if (failure === null) return true
    // Its second run, for the answer to its own failure, must not fail again.
    this.#ran &= ~(1 << this.plan.stages.indexOf(failure.stage))
    this.#phase = Phase.target
    this.responseEdits = null
    this.#policyFailed(failure.stage, failure.error)
    return false
  }

  /** The upstream's answer begins. @returns false when something else was answered instead. */
  beginResponse(head: ResponseHead): boolean {
    if (this.#phase >= Phase.responding) return false
    this.#phase = Phase.responding
    this.response = head
    this.status = head.status
    if (!this.#runResponse()) return false
    const { connection } = this
    const mode = bodyMode(this, head, this.plan.transformsResponseBody)
    const isUnread = this.request.expectsContinue && !this.requestEnded && this.requestBytes === 0
    if (isUnread || mode === BodyMode.untilClose) connection.closing = true
    connection.startResponse(upstreamHead(this, head, mode, connection.closing), mode)
    if (mode >= BodyMode.chunked && this.requestEnded && isEventStream(head)) this.#outlive()
    return true
  }

  /** The upstream has switched protocols: from now on bytes go through as they are. */
  beginTunnel(head: ResponseHead, token: string): void {
    this.response = head
    this.status = head.status
    this.#phase = Phase.responding
    if (!this.#runResponse()) return
    this.#phase = Phase.tunnel
    this.requestEnded = false
    this.context.wheel.cancel(this)
    this.connection.startResponse(tunnelHead(this, head, token), BodyMode.tunnel)
    this.connection.startTunnel()
    this.#outlive()
  }

  /** It may last for days: what is not needed for its end is let go. */
  #outlive(): void {
    const from = this.context
    if (this.place !== null) leavePlace(this)
    const stages = lastStages(this.plan, this.#ran)
    this.plan = { ...this.plan, stages }
    this.#ran = (1 << stages.length) - 1
    this.keepOnly(this.plan)
    this.context = new Afterlife(from, this, stages)
    from.leave()
  }

  /** A piece of the upstream's answer; the memory is only lent. */
  sendResponseData(data: Buffer): void {
    if (this.#phase < Phase.responding || this.#phase === Phase.finished) return
    if (this.#phase === Phase.tunnel && this.armed) return
    const passed =
      this.plan.hasResponseBodyHooks && this.#phase !== Phase.tunnel
        ? this.#through(Direction.response, data)
        : data
    if (passed === null || passed.length === 0) return
    this.responseBytes += passed.length
    if (!this.connection.writeData(passed, false)) this.upstream?.pauseResponse()
  }

  /** What arrived at once has been handed over. */
  flushResponse(): void {
    if (this.#phase !== Phase.finished && !this.connection.flush()) this.upstream?.pauseResponse()
  }

  onClientDrain(): void {
    this.upstream?.resumeResponse()
  }

  /** The upstream's answer is complete. */
  endResponse(trailers: string): void {
    if (this.#phase === Phase.tunnel) {
      this.connection.endTunnel()
      return
    }
    if (this.#phase !== Phase.responding) return
    if (this.plan.hasResponseBodyHooks) {
      const rest = this.#through(Direction.response, null)
      if (rest !== null && rest.length > 0) {
        this.responseBytes += rest.length
        this.connection.writeData(rest, false)
      }
    }
    const passed = passedTrailers(trailers, this.context.trailersAllowed)
    this.upstream = null
    this.connection.endResponse(passed)
    this.#finish()
  }

  /** The upstream's side of a tunnel is gone; `isClean` when it had ended its stream before. */
  endTunnel(isClean: boolean): void {
    if (this.#phase !== Phase.tunnel) return
    if (isClean || this.armed) this.connection.closeTunnel()
    else this.#abandon('upstream_reset')
    this.#finish()
  }

  /** A piece of a body through its stages; null marks the end. What ends the exchange is answered here. */
  #through(direction: number, data: Buffer | null, ran = this.#ran): Buffer | null {
    if (this.isFinished) return null
    const result = bodyThrough(this, this.plan.stages, ran, direction, data)
    if (result instanceof Reply) this.respond(result)
    else if (result instanceof HookFailure) this.#policyFailed(result.stage, result.error)
    else return result
    return null
  }

  /** Nobody waits for the answer, or it can no longer be completed. */
  #abandon(code: ErrorCode): void {
    if (this.#phase !== Phase.tunnel) this.errorCode = code
    const upstream = this.upstream
    this.upstream = null
    upstream?.abort()
    this.connection.abort()
    this.#finish()
  }

  #finish(): void {
    if (this.#phase === Phase.finished) return
    this.#phase = Phase.finished
    this.context.wheel.cancel(this)
    this.body = null
    finish(this, this.#ran)
  }
}
