// The parent's hold on one gateway process: start it, talk to it, end it.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type DrainPlan, drainMs } from '../../gateway/drain.ts'
import type { DescriptorPlan } from './inherited-descriptors.ts'
import {
  type CheckedDocument,
  type FromGateway,
  PROTOCOL_VERSION,
  type ReadyMessage,
  type StartMessage,
  type ToGateway,
} from './parent-protocol.ts'

/** What a gateway process may take beyond its drain, and after its last word, before it is killed, in milliseconds. */
const EXIT_GRACE_MS = 5_000

/** How a start ended. */
export type StartOutcome =
  | { readonly kind: 'ready'; readonly message: ReadyMessage }
  /** It needs other sockets than it was given. */
  | { readonly kind: 'replace'; readonly document: CheckedDocument }
  | { readonly kind: 'failed'; readonly reason: string }

/** What a running gateway process reports. */
export interface ChildEvents {
  onApplied(child: GatewayChild, document: CheckedDocument): void
  onReplace(child: GatewayChild, reason: string, document: CheckedDocument): void
}

/** What a gateway process is started with. */
export interface ChildOptions {
  /** The module it runs. */
  readonly entry: URL
  readonly start: Pick<StartMessage, 'file' | 'document' | 'threads' | 'watch'>
  readonly plan: DescriptorPlan
  readonly startTimeoutMs: number
}

/** One gateway process. */
export class GatewayChild {
  /** How the start ended; never rejects. */
  readonly started: Promise<StartOutcome>
  /** Says how the process ended, for example `exit code 1`; never rejects. */
  readonly exited: Promise<string>
  readonly startedAt: number = performance.now()
  readonly #process: ChildProcess
  readonly #events: ChildEvents
  readonly #settleStart: (outcome: StartOutcome) => void
  #isStarting = true
  #isGone = false
  #isReloadSent = false
  #killTimer: NodeJS.Timeout | undefined

  constructor(options: ChildOptions, events: ChildEvents) {
    this.#events = events
    const { entry, plan, start, startTimeoutMs } = options
    const { promise, resolve } = Promise.withResolvers<StartOutcome>()
    this.started = promise
    this.#process = spawn(process.execPath, [...inheritedFlags(), fileURLToPath(entry)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...plan.stdio],
      serialization: 'advanced',
    })
    const deadline = setTimeout(
      () => this.#fail(`was not ready within ${startTimeoutMs} ms`),
      startTimeoutMs,
    )
    this.#settleStart = (outcome) => {
      this.#isStarting = false
      clearTimeout(deadline)
      resolve(outcome)
    }
    this.exited = this.#watchExit()
    this.#process.on('message', (message) => this.#receive(message as FromGateway))
    this.#send({ type: 'start', protocol: PROTOCOL_VERSION, ...start, sockets: plan.sockets })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** Asks for a reload of the configuration file; requests that overtake each other count once. */
  reload(): void {
    if (this.#isReloadSent) return
    this.#isReloadSent = true
    this.#send({ type: 'reload' }, () => {
      this.#isReloadSent = false
    })
  }

  /** Asks it to let running exchanges end and to exit; kills it when it takes much longer. */
  drain(plan: DrainPlan, successor: boolean): void {
    if (this.#isGone) return
    this.#killAfter(drainMs(plan) + EXIT_GRACE_MS)
    this.#send({ type: 'drain', plan, successor })
  }

  /** Tells it that the successor it asked for did not come. */
  notReplaced(reason: string): void {
    this.#send({ type: 'not-replaced', reason })
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  #killAfter(ms: number): void {
    clearTimeout(this.#killTimer)
    this.#killTimer = setTimeout(() => this.kill(), ms)
  }

  #send(message: ToGateway, sent: () => void = () => {}): void {
    // A failed send means that the process is on its way out, which `exited` tells.
    this.#process.send(message, sent)
  }

  #receive(message: FromGateway): void {
    if (message.type === 'applied') this.#events.onApplied(this, message.document)
    else if (message.type === 'ready') this.#settleStart({ kind: 'ready', message })
    else if (message.type === 'failed') this.#fail(message.message)
    else if (this.#isStarting) this.#settleStart({ kind: 'replace', document: message.document })
    else this.#events.onReplace(this, message.reason, message.document)
  }

  #fail(reason: string): void {
    this.#settleStart({ kind: 'failed', reason })
  }

  #watchExit(): Promise<string> {
    return new Promise((resolve) => {
      const ended = (how: string) => {
        this.#isGone = true
        clearTimeout(this.#killTimer)
        this.#fail(how)
        resolve(how)
      }
      this.#process.once('error', (error) => {
        if (this.#process.pid === undefined) ended(`could not be started: ${error.message}`)
      })
      this.#process.once('disconnect', () => {
        if (!this.#isGone) this.#killAfter(EXIT_GRACE_MS)
      })
      this.#process.once('exit', (code, signal) => ended(signal ?? `exit code ${code}`))
    })
  }
}

/** The flags this process runs with; a debugger's port cannot be used twice. */
function inheritedFlags(): string[] {
  return process.execArgv.filter((flag) => !flag.startsWith('--inspect'))
}
