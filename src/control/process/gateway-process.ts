// The life of a gateway process under its parent: it is told what to run and where, serves, and ends
// when it is told to, or when the parent is gone.
import { loadInWorker } from '../../config/load-worker.ts'
import type { Document } from '../../config/schema.ts'
import { type DrainPlan, drainMs, NO_GRACE } from '../../gateway/drain.ts'
import { fromChecked, toChecked } from './checked-document.ts'
import { ControlPlane } from './control-plane.ts'
import type { OpenAdmin } from './control-view.ts'
import { DescriptorStock } from './inherited-descriptors.ts'
import { report, surviveClosedOutput } from './output.ts'
import {
  type FromGateway,
  PROTOCOL_VERSION,
  type StartMessage,
  type ToGateway,
} from './parent-protocol.ts'
import { problemLines } from './problem-lines.ts'
import { socketNeeds } from './socket-needs.ts'

/** When the parent is gone, a new one wants the ports. */
const ORPHAN_DRAIN: DrainPlan = { ...NO_GRACE, timeoutMs: 5_000 }

/** The parts of a gateway process that are made elsewhere. */
export interface ProcessParts {
  /** The module a data-plane thread runs. */
  readonly threadEntry: URL
  readonly openAdmin: OpenAdmin
}

/** Serves the parent of this process until the end. */
export function serveParent(parts: ProcessParts): void {
  const life = new GatewayProcess(parts)
  process.on('message', (message: ToGateway) => life.receive(message))
  process.on('disconnect', () => void life.end(ORPHAN_DRAIN, false))
  process.on('SIGTERM', () => void life.end(null, false))
  // Sent to the whole group by a terminal; the parent decides what they mean.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {})
  surviveClosedOutput()
}

class GatewayProcess {
  readonly #parts: ProcessParts
  #plane: ControlPlane | null = null
  #isEnding = false

  constructor(parts: ProcessParts) {
    this.#parts = parts
  }

  receive(message: ToGateway): void {
    if (message.type === 'start') void this.#start(message)
    else if (message.type === 'reload') void this.#plane?.reload()
    else if (message.type === 'drain') void this.end(message.plan, message.successor)
    else this.#plane?.notReplaced(message.reason)
  }

  /** Drains and exits; the second call does not wait for exchanges to end. */
  async end(plan: DrainPlan | null, hasSuccessor: boolean): Promise<void> {
    if (this.#isEnding) {
      if (plan !== null && drainMs(plan) === 0) exit(this.#plane)
      return
    }
    this.#isEnding = true
    const plane = this.#plane
    if (plane !== null) await plane.drain(plan ?? plane.document().drain, hasSuccessor)
    exit(plane)
  }

  async #start(message: StartMessage): Promise<void> {
    try {
      if (message.protocol !== PROTOCOL_VERSION) {
        throw new Error(
          'this version cannot take over from the one that runs; stop it and start again',
        )
      }
      const document =
        message.document === null ? await load(message.file) : fromChecked(message.document)
      const stock = new DescriptorStock(message.sockets)
      if (
        message.sockets.length > 0 &&
        !socketNeeds(document).every((need) => stock.has(need.key))
      ) {
        return send({
          type: 'replace',
          reason: 'it listens on other addresses',
          document: toChecked(document),
        })
      }
      const { file, threads, watch } = message
      const plane = new ControlPlane(document, {
        file,
        threads,
        watch,
        stock,
        ...this.#parts,
        onApplied: (applied) => send({ type: 'applied', document: applied }),
        onReplace: (reason, wanted) => send({ type: 'replace', reason, document: wanted }),
        report,
      })
      const ready = await plane.start()
      this.#plane = plane
      send(ready)
    } catch (error) {
      send({ type: 'failed', message: (error as Error).message })
    }
  }
}

/**
 * Ends this process. A thread that sits in native code, of discovery for example, would have `exit` wait
 * for it: the parent, told by the end of the channel, does not wait long, and without one nobody would
 * end this process.
 */
function exit(plane: ControlPlane | null): void {
  if (plane?.isStuck === true || !process.connected) process.kill(process.pid, 'SIGKILL')
  process.once('disconnect', () => process.exit(0))
  process.disconnect?.()
}

async function load(file: string): Promise<Document> {
  const { document, problems } = await loadInWorker(file)
  if (document === null)
    throw new Error(`the configuration is refused:\n${problemLines(problems).join('\n')}`)
  return document
}

function send(message: FromGateway): void {
  // Without a parent nobody needs to know; 'disconnect' ends this process.
  if (process.connected) process.send!(message, undefined, {}, () => {})
}
