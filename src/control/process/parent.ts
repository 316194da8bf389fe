// The process a person starts. It holds the listening sockets and keeps a gateway process running
// on them; it reads no request, so there is little that could end it.
import { type DrainPlan, hurried, NO_GRACE } from '../../gateway/drain.ts'
import { Backoff, type BackoffSettings } from './backoff.ts'
import type { GatewayChild } from './gateway-child.ts'
import { canHoldSockets, ListeningSockets } from './listening-sockets.ts'
import type { CheckedDocument, ReadyMessage } from './parent-protocol.ts'
import { takeActivatedSockets } from './socket-activation.ts'
import { type LaunchSettings, Takeover } from './takeover.ts'

/** Crashes in a row after which the parent gives up, so that whoever supervises it learns of it. */
const RESTARTS_MAX = 10

/** How the parent runs. */
export interface ParentOptions extends LaunchSettings {
  readonly backoff?: Partial<BackoffSettings>
  /** A gateway process is ready; `first` is true once. */
  onReady(message: ReadyMessage, first: boolean): void
  /** One line for the person who runs it. */
  report(line: string): void
}

type Signal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2'

/** Keeps a gateway running until it is told to stop. */
export class Parent {
  readonly #options: ParentOptions
  readonly #takeover: Takeover
  readonly #sockets: ListeningSockets
  readonly #backoff: Backoff
  readonly #finished = Promise.withResolvers<number>()
  #restartTimer: NodeJS.Timeout | undefined
  #isStopping = false
  #isReloadWanted = false

  constructor(document: CheckedDocument, options: ParentOptions) {
    const { entry, file, threads, watch, startTimeoutMs } = options
    this.#options = options
    this.#backoff = new Backoff(options.backoff)
    this.#sockets = new ListeningSockets(threads, takeActivatedSockets())
    this.#takeover = new Takeover(
      this.#sockets,
      { entry, file, threads, watch, startTimeoutMs },
      document,
      {
        onApplied: (child, applied) => {
          if (child !== this.#takeover.current) return
          this.#takeover.document = applied
          // A successor on its way was started with the configuration before this one.
          this.#isReloadWanted ||= this.#takeover.isBusy
        },
        onReplace: (child, reason, wanted) => void this.#replace(child, reason, wanted),
      },
    )
  }

  /**
   * Runs the gateway; resolves with the exit code when it has ended.
   * @throws Error when the gateway cannot be started, with the reason and the remedy.
   */
  async run(): Promise<number> {
    const signals: Record<Signal, () => void> = {
      SIGTERM: () => this.stop(this.#takeover.document.drain),
      // Somebody waits at a terminal, and no load balancer has to find out.
      SIGINT: () => this.stop(hurried(this.#takeover.document.drain)),
      SIGHUP: () => this.#reload(),
      SIGUSR2: () => void this.#replace(this.#takeover.current, 'upgrade', null),
    }
    for (const [signal, act] of Object.entries(signals)) process.on(signal, act)
    try {
      const message = await this.#takeover.run(this.#takeover.document)
      for (const address of this.#sockets.closeUnasked()) {
        this.#options.report(
          `closed ${address}: it was handed over through LISTEN_FDS, but nothing listens there`,
        )
      }
      this.#adopt(message, true)
      return await this.#finished.promise
    } catch (error) {
      if (this.#isStopping) return 0
      throw error
    } finally {
      for (const [signal, act] of Object.entries(signals)) process.off(signal, act)
      this.#sockets.close()
    }
  }

  /** Lets running exchanges end, then ends everything; the second call does not wait for them. */
  stop(plan: DrainPlan): void {
    const chosen = this.#isStopping ? NO_GRACE : plan
    this.#isStopping = true
    clearTimeout(this.#restartTimer)
    void this.#takeover.stop(chosen).then(() => this.#finished.resolve(0))
    // Once the threads stop accepting, whoever still comes is refused rather than kept waiting.
    this.#sockets.close()
  }

  #adopt(message: ReadyMessage, first: boolean): void {
    const child = this.#takeover.current!
    void child.exited.then((how) => this.#onExit(child, how))
    this.#options.onReady(message, first)
    if (this.#isReloadWanted) this.#reload()
  }

  #reload(): void {
    const { current, isBusy } = this.#takeover
    this.#isReloadWanted = isBusy || current === null
    if (!this.#isReloadWanted) current?.reload()
  }

  /** A successor is needed: for other sockets, other code, or an upgrade (`document` null). */
  async #replace(
    child: GatewayChild | null,
    reason: string,
    document: CheckedDocument | null,
  ): Promise<void> {
    if (this.#isStopping || child === null || child !== this.#takeover.current) return
    if (this.#takeover.isBusy) {
      // The successor looks at the file again once it serves.
      this.#isReloadWanted = true
      return
    }
    if (!canHoldSockets()) {
      return child.notReplaced(
        'this platform cannot hand sockets to a new process; stop and start Gatehouse',
      )
    }
    this.#options.report(`replacing the gateway process: ${reason}`)
    try {
      this.#adopt(await this.#takeover.run(document), false)
    } catch (error) {
      this.#options.report(`the gateway process was not replaced: ${(error as Error).message}`)
      child.notReplaced((error as Error).message)
      if (this.#isReloadWanted) this.#reload()
      if (this.#takeover.current === null) this.#restart(0)
    }
  }

  #onExit(child: GatewayChild, how: string): void {
    if (child !== this.#takeover.current) return
    this.#takeover.current = null
    if (this.#isStopping) return
    this.#options.report(`the gateway process ended unexpectedly (${how})`)
    // A successor on its way takes its place by itself.
    if (!this.#takeover.isBusy) this.#restart(performance.now() - child.startedAt)
  }

  #restart(livedMs: number): void {
    if (this.#isStopping) return
    const delayMs = this.#backoff.fail(livedMs)
    if (this.#backoff.failures > RESTARTS_MAX) {
      this.#options.report(`giving up after ${RESTARTS_MAX} restarts in a row`)
      this.#isStopping = true
      void this.#takeover.stop(NO_GRACE).then(() => this.#finished.resolve(1))
      return
    }
    this.#restartTimer = setTimeout(() => void this.#tryRestart(), delayMs)
  }

  async #tryRestart(): Promise<void> {
    try {
      this.#adopt(await this.#takeover.run(this.#takeover.document), false)
    } catch (error) {
      if (!this.#isStopping)
        this.#options.report(`the gateway process was not restarted: ${(error as Error).message}`)
      this.#restart(0)
    }
  }
}
