// An instance of a service as a simulation has it: so many workers, a queue in front of them, and ways to
// fail. And the connections to it, as the production code sees them.
import { type TimerWheel, WheelTimer } from '../../src/lib/timer-wheel.ts'
import type {
  ClientConnection,
  ResponseSink,
  UpstreamTimeouts,
} from '../../src/proxy/http/client-connection.ts'
import type { ResponseHead } from '../../src/proxy/http/message-head.ts'
import { parseResponseHead } from '../../src/proxy/http/parse-head.ts'
import type { EventQueue } from './event-queue.ts'

/** What a machine does with requests. `stalls`: it takes them, and never answers. */
export type Fault = 'none' | 'refuses' | 'errors' | 'stalls'

/** How a machine is made. */
export interface MachinePlan {
  readonly zone?: string
  /** Requests that it works on at once. */
  readonly workers: number
  /** The mean of how long it works on one. */
  readonly workMs: number
  /** How much that varies: 0 not at all, 1 as much as chance alone makes it (exponential). */
  readonly spread: number
  /** Requests that wait in it; to one more it answers 503. */
  readonly backlogMax: number
  /** Whether it drops what waits in it when the caller is gone; most servers find out too late. */
  readonly noticesAborts: boolean
}

/** What machines and their connections need of their world. */
export interface MachineWorld {
  readonly now: () => number
  readonly random: () => number
  readonly events: EventQueue<() => void>
  /** A request has reached a machine. */
  onReceived(machine: Machine, requestId: number): void
}

const QUICK_MS = 0.5
const headOf = (status: number): ResponseHead =>
  parseResponseHead(`HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`)!
const OK = headOf(200)
const UNAVAILABLE = headOf(503)

/** One instance. */
export class Machine {
  readonly slot: number
  readonly plan: MachinePlan
  fault: Fault = 'none'
  /** How many times longer everything takes. */
  slowness = 1
  /** The part of its workers that work. */
  strength = 1
  received = 0
  readonly #world: MachineWorld
  readonly #held = new Set<SimulatedConnection>()
  /** Worked on; what was begun before a crash is never ended. */
  readonly #work = new Set<SimulatedConnection>()
  #backlog: SimulatedConnection[] = []

  constructor(slot: number, plan: MachinePlan, world: MachineWorld) {
    this.slot = slot
    this.plan = plan
    this.#world = world
  }

  /** Requests in it, worked on or waiting. */
  get load(): number {
    return this.#work.size + this.#backlog.length
  }

  /** Turns to another way of failing, or none; who refuses has lost all that was in it. */
  turn(fault: Fault): void {
    this.fault = fault
    if (fault === 'refuses') this.#crash()
    else if (fault === 'none') for (const connection of this.#held) this.#accept(connection)
    if (fault !== 'stalls') this.#held.clear()
  }

  /** A request arrives. */
  receive(connection: SimulatedConnection, requestId: number): void {
    this.received += 1
    this.#world.onReceived(this, requestId)
    if (this.fault === 'errors') this.#later(QUICK_MS, () => connection.answer(UNAVAILABLE))
    else if (this.fault === 'stalls') this.#held.add(connection)
    else if (this.fault === 'refuses') this.#later(QUICK_MS, () => connection.reset())
    else this.#accept(connection)
  }

  /** Something changed that may let it work on more. */
  begin(): void {
    const { workers, noticesAborts } = this.plan
    while (this.#backlog.length > 0 && this.#work.size < Math.ceil(workers * this.strength)) {
      const connection = this.#backlog.shift()!
      if (connection.isOver && noticesAborts) continue
      this.#begin(connection)
    }
  }

  #accept(connection: SimulatedConnection): void {
    if (this.#backlog.length >= this.plan.backlogMax) {
      this.#later(QUICK_MS, () => connection.answer(UNAVAILABLE))
      return
    }
    this.#backlog.push(connection)
    this.begin()
  }

  #begin(connection: SimulatedConnection): void {
    const { workMs, spread } = this.plan
    const varied = 1 - spread - Math.log(1 - this.#world.random()) * spread
    this.#work.add(connection)
    this.#later(workMs * this.slowness * varied, () => {
      if (!this.#work.delete(connection)) return
      connection.answer(OK)
      this.begin()
    })
  }

  #crash(): void {
    const lost = [...this.#work, ...this.#backlog, ...this.#held]
    this.#work.clear()
    this.#backlog = []
    for (const connection of lost) connection.reset()
  }

  #later(ms: number, run: () => void): void {
    this.#world.events.add(this.#world.now() + ms, run)
  }
}

/** The part of a ClientConnection that attempts use. */
export class SimulatedConnection extends WheelTimer {
  /** Exchanges begun on it; a reused one that dies says nothing of its endpoint. */
  requests = 0
  isOver = false
  readonly #machine: Machine
  readonly #wheel: TimerWheel
  #sink: ResponseSink | null = null
  #head = ''
  #responseMs = 0

  constructor(machine: Machine, wheel: TimerWheel) {
    super()
    this.#machine = machine
    this.#wheel = wheel
  }

  begin(sink: ResponseSink, head: string, _isHead: boolean, timeouts: UpstreamTimeouts): void {
    this.requests += 1
    this.#sink = sink
    this.#head = head
    this.#responseMs = timeouts.responseMs
  }

  endRequest(): void {
    if (this.isOver) return
    this.#wheel.arm(this, this.#responseMs)
    this.#machine.receive(this, Number(/^[A-Z]+ \/[a-z]+\/([0-9]+) /.exec(this.#head)?.[1]))
  }

  passTo(sink: ResponseSink): void {
    this.#sink = sink
  }

  abort(): void {
    this.isOver = true
    this.#wheel.cancel(this)
  }

  pause(): void {}

  resume(): void {}

  /** The whole answer arrives. */
  answer(head: ResponseHead): void {
    if (this.isOver) return
    this.#wheel.cancel(this)
    this.#sink!.onResponseHead(head)
    if (this.isOver) return
    this.isOver = true
    this.#sink!.onResponseEnd('')
  }

  /** It dies before an answer. */
  reset(): void {
    if (this.isOver) return
    this.abort()
    this.#sink!.onResponseFailed('upstream_reset')
  }

  onTimeout(): void {
    this.isOver = true
    this.#sink!.onResponseFailed('upstream_timeout')
  }

  /** As the production code takes it. */
  get asConnection(): ClientConnection {
    return this as unknown as ClientConnection
  }
}
