// The last moments of an exchange on the client's side: a reply leaves, and what is left is counted.
import { errorKind } from '../../errors.ts'
import { BodyMode } from '../http/response-writer.ts'
import type { ServerConnection } from '../http/server-connection.ts'
import type { Exchange } from './exchange.ts'
import type { ExchangeContext } from './exchange-context.ts'
import { finishThrough } from './hooks.ts'
import type { Reply } from './reply.ts'
import { replyHead } from './response-head.ts'
import type { RoutePlan } from './route.ts'
import { leavePlace } from './service-place.ts'

/** What is asked of an exchange that ends. */
interface Ending extends Exchange {
  readonly connection: ServerConnection
  readonly context: ExchangeContext
  readonly plan: RoutePlan
  readonly requestEnded: boolean
}

/** Sends a reply of the gateway's own with this body, and turns the connection to what follows. */
export function sendReply(run: Ending, reply: Reply, body: Buffer): void {
  const { connection } = run
  // Whether the body still comes is the client's choice; after this answer nothing can be read.
  if (run.request.expectsContinue && !run.requestEnded) connection.closing = true
  const hasBody = run.method !== 'HEAD' && reply.status !== 204 && reply.status !== 304
  const head = replyHead(run, reply, body.length, connection.closing)
  connection.startResponse(head, BodyMode.length)
  if (hasBody) {
    run.responseBytes += body.length
    connection.writeData(body, true)
  }
  connection.endResponse('')
}

/** Runs the `onFinish` of the stages that `ran` names, counts the exchange, and lets go of its context. */
export function finish(run: Ending, ran: number): void {
  const { context, plan } = run
  run.durationMs = context.clock.now() - run.receivedAt
  if (run.status === 0) run.status = run.errorCode === null ? 0 : errorKind(run.errorCode).status
  if (run.place !== null) leavePlace(run)
  finishThrough(run, plan.stages, ran, context.log)
  if (run.errorCode !== null) context.countError(run.errorCode)
  plan.counters.finish(run.status, run.durationMs, run.requestBytes, run.responseBytes)
  context.leave()
}
