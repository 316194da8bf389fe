// The client's body on its way to an attempt: kept back while the request stages decide and, where one
// must see it whole, until it is complete; then held while nobody takes it, and no more is read.
import type { ErrorCode } from '../../errors.ts'
import type { RequestHead } from '../http/message-head.ts'
import type { ServerConnection } from '../http/server-connection.ts'
import { HeldBody, holdsBody, stagesHolding } from './held-body.ts'
import type { RoutePlan } from './route.ts'

/** What takes a body. */
export interface BodyTaker {
  /** @returns false when it should catch up first. */
  onRequestData(data: Buffer): boolean
  onRequestEnd(trailers: string): void
}

/** The exchange that the body belongs to. */
export interface BodyOwner {
  readonly request: Pick<RequestHead, 'contentLength' | 'expectsContinue'>
  readonly plan: Pick<RoutePlan, 'stages' | 'holdsRequestBody'>
  /** Whether it is over: nothing more is wanted. */
  readonly isFinished: boolean
  /**
   * A piece through the stages whose bits are in `ran`; null marks the end.
   * @returns what goes on; null for nothing, also when the exchange was answered instead.
   */
  passBody(data: Buffer | null, ran: number): Buffer | null
  /** The target's turn. */
  proceed(): void
  fail(code: ErrorCode): void
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

/** The body of one request. */
export class BodyIntake {
  /** Whether a stage had it held: the gateway has asked for it, and the service need not. */
  wasHeld = false
  readonly #connection: ServerConnection
  readonly #owner: BodyOwner
  #taker: BodyTaker | null = null
  /** Pieces that wait: until `admit` for the stages, then for a taker. */
  #waiting: Buffer[] = []
  #whole: HeldBody | null = null
  #ran = 0
  #isAdmitted = false
  #hasEnded = false
  /** The end has passed the stages as well. */
  #isComplete = false
  #trailers = ''

  constructor(connection: ServerConnection, owner: BodyOwner) {
    this.#connection = connection
    this.#owner = owner
  }

  /** A piece has arrived. */
  offer(data: Buffer): void {
    if (!this.#isAdmitted) this.#wait(data)
    else if (this.#whole === null) this.#pass(data)
    else {
      this.#whole.add(data)
      this.#checkHeld(this.#whole.bytes.length)
      if (this.#whole === null && !this.#owner.isFinished) this.#owner.proceed()
    }
  }

  /** All of it has arrived. `trailers` are lines that may pass. */
  end(trailers: string): void {
    this.#hasEnded = true
    this.#trailers = trailers
    if (this.#isAdmitted) this.#complete()
  }

  /** The request stages have let the exchange pass, those in `ran`: the owner proceeds now or later. */
  admit(ran: number): void {
    const owner = this.#owner
    const { stages, holdsRequestBody } = owner.plan
    this.#ran = ran
    this.#isAdmitted = true
    const early = this.#waiting
    this.#waiting = []
    if (holdsRequestBody && holdsBody(stages, ran)) {
      this.#whole = new HeldBody()
      this.#checkHeld(owner.request.contentLength)
      if (this.#whole !== null) this.#ask(early.length > 0 || this.#hasEnded)
    }
    const isHeld = this.#whole !== null
    for (let i = 0; i < early.length && !owner.isFinished; i++) this.offer(early[i]!)
    if (this.#hasEnded && !owner.isFinished) this.#complete()
    if (!isHeld && !owner.isFinished) owner.proceed()
  }

  /** Hands over what waited, and the rest as it comes. */
  open(taker: BodyTaker): void {
    this.#taker = taker
    const waiting = this.#waiting
    this.#waiting = []
    let takesMore = true
    for (let i = 0; i < waiting.length; i++) takesMore = taker.onRequestData(waiting[i]!)
    if (this.#isComplete) taker.onRequestEnd(this.#trailers)
    if (takesMore) this.#connection.resumeRequest()
  }

  /** Nobody takes it any more, until the next `open`. */
  close(): void {
    this.#taker = null
  }

  #wait(data: Buffer): void {
    this.#waiting.push(data)
    if (!this.#hasEnded) this.#connection.pauseRequest()
  }

  #pass(data: Buffer): void {
    const passed = this.#owner.passBody(data, this.#ran)
    if (passed !== null) this.#give(passed)
  }

  #give(data: Buffer): void {
    if (this.#taker === null) this.#wait(data)
    else if (!this.#taker.onRequestData(data)) this.#connection.pauseRequest()
  }

  /** The body is to be held: reads on, and asks for it where the client waits for that. */
  #ask(hasBegun: boolean): void {
    this.wasHeld = true
    if (this.#owner.request.expectsContinue && !hasBegun) this.#connection.writeInterim(CONTINUE)
    this.#connection.resumeRequest()
  }

  /** Refuses a body that is longer than a stage holds, or lets it go on if that stage only tries. */
  #checkHeld(length: number): void {
    const { stages } = this.#owner.plan
    this.#ran = stagesHolding(stages, this.#ran, length)
    if (this.#ran === -1) {
      this.#whole = null
      this.#owner.fail('body_too_large')
    } else if (!holdsBody(stages, this.#ran)) this.#release()
  }

  /** What was held goes through the stages in one piece. */
  #release(): void {
    const bytes = this.#whole!.bytes
    this.#whole = null
    if (bytes.length > 0) this.#pass(bytes)
  }

  #complete(): void {
    const owner = this.#owner
    const wasHeld = this.#whole !== null
    if (wasHeld) this.#release()
    if (owner.isFinished) return
    const rest = owner.passBody(null, this.#ran)
    if (owner.isFinished) return
    if (rest !== null && rest.length > 0) this.#give(rest)
    this.#isComplete = true
    this.#taker?.onRequestEnd(this.#trailers)
    if (wasHeld) owner.proceed()
  }
}
