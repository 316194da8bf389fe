// One gateway process after the other on the same sockets: the successor is ready before the
// predecessor stops accepting, so no connection is refused or reset between them.
import type { DrainPlan } from '../../gateway/drain.ts'
import { type ChildEvents, type ChildOptions, GatewayChild } from './gateway-child.ts'
import { planDescriptors } from './inherited-descriptors.ts'
import type { ListeningSockets } from './listening-sockets.ts'
import type { CheckedDocument, ReadyMessage } from './parent-protocol.ts'

/** A configuration that an upgrade loads itself may need sockets nobody knew of: one more round. */
const ROUNDS_MAX = 3
/** Predecessors that may still be draining; the oldest is cut off when there would be more. */
const RETIRING_MAX = 3

/** What every gateway process of this parent is started with. */
export type LaunchSettings = Pick<ChildOptions, 'entry' | 'startTimeoutMs'> &
  Pick<ChildOptions['start'], 'file' | 'threads' | 'watch'>

/** The gateway processes of one parent: at most one serves, one starts, and a few drain. */
export class Takeover {
  readonly #sockets: ListeningSockets
  readonly #settings: LaunchSettings
  readonly #events: ChildEvents
  readonly #retiring = new Set<GatewayChild>()
  #starting: GatewayChild | null = null
  #isStopped = false
  /** Whether a successor is on its way. */
  isBusy = false
  /** The process that serves. */
  current: GatewayChild | null = null
  /** What it runs; survives it. */
  document: CheckedDocument

  constructor(
    sockets: ListeningSockets,
    settings: LaunchSettings,
    document: CheckedDocument,
    events: ChildEvents,
  ) {
    this.#sockets = sockets
    this.#settings = settings
    this.document = document
    this.#events = events
  }

  /**
   * Starts a process for `document` (null: it loads the file itself), waits until it is ready and
   * retires the one before it, which goes on serving if this fails.
   * @throws Error that says why no process came up.
   */
  async run(document: CheckedDocument | null): Promise<ReadyMessage> {
    this.isBusy = true
    try {
      const message = await this.#bringUp(document)
      const predecessor = this.current
      this.current = this.#starting
      this.document = message.document
      if (predecessor !== null) this.#retire(predecessor)
      return message
    } finally {
      this.isBusy = false
      this.#starting = null
      this.#sockets.announceListening()
      this.#sockets.retain(this.document.needs)
    }
  }

  /** Lets every process end; resolves when none is left. With NO_GRACE, a second time, it waits for nothing. */
  async stop(plan: DrainPlan): Promise<void> {
    this.#isStopped = true
    this.#starting?.kill()
    this.current?.drain(plan, false)
    for (const child of this.#retiring) child.drain(plan, false)
    await Promise.all(
      [this.current, this.#starting, ...this.#retiring].map((child) => child?.exited),
    )
  }

  async #bringUp(first: CheckedDocument | null): Promise<ReadyMessage> {
    let document = first
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (document !== null) await this.#sockets.hold(document.needs)
      if (this.#isStopped) break
      const child = this.#launch(document)
      this.#starting = child
      const outcome = await child.started
      if (outcome.kind === 'ready') return outcome.message
      child.kill()
      await child.exited
      if (outcome.kind === 'failed') throw new Error(outcome.reason)
      document = outcome.document
    }
    throw new Error(
      this.#isStopped ? 'the gateway is stopping' : 'the configuration changes too often',
    )
  }

  #launch(document: CheckedDocument | null): GatewayChild {
    const { needs } = document ?? this.document
    const { entry, startTimeoutMs, ...start } = this.#settings
    const plan = planDescriptors(this.#sockets.select(needs))
    return new GatewayChild(
      { entry, startTimeoutMs, plan, start: { ...start, document } },
      this.#events,
    )
  }

  #retire(child: GatewayChild): void {
    this.#retiring.add(child)
    // The successor accepts by now: nobody has to be told to go elsewhere first.
    child.drain({ ...this.document.drain, delayMs: 0 }, true)
    void child.exited.then(() => this.#retiring.delete(child))
    if (this.#retiring.size > RETIRING_MAX) this.#retiring.values().next().value?.kill()
  }
}
