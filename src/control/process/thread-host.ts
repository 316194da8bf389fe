// Inside a data-plane thread: answers the control plane's calls with the thread's data plane.
import type { MessagePort } from 'node:worker_threads'
import type { DataPlane } from '../../gateway/plane.ts'
import type { EndpointsUpdate } from '../../gateway/plane-services.ts'
import type { LogLevel } from '../../observability/log.ts'
import { Pulse } from '../../observability/pulse.ts'
import {
  DocumentAssembly,
  type ThreadData,
  type ThreadMethod,
  type ThreadRequest,
  type ThreadResponse,
} from './thread-protocol.ts'

/** How often a thread shows that its event loop turns, in milliseconds. */
const BEAT_INTERVAL_MS = 1_000

/** The part of a thread's log that the control plane steers. */
export interface SteeredLog {
  setLevel(level: LogLevel): void
  flush(): void
}

/** Serves calls for as long as the thread lives. */
export function hostPlane(
  port: MessagePort,
  data: ThreadData,
  plane: DataPlane,
  log: SteeredLog | null,
): void {
  const host = new ThreadHost(plane, log)
  port.on('message', (request: ThreadRequest) => {
    host.answer(request).then(
      (result) =>
        port.postMessage({ id: request.id, result, failure: null } satisfies ThreadResponse),
      (error: Error) =>
        port.postMessage({
          id: request.id,
          result: null,
          failure: error.message,
        } satisfies ThreadResponse),
    )
  })
  const pulse = new Pulse(data.shared.pulse, data.threadIndex)
  pulse.beat()
  setInterval(() => pulse.beat(), BEAT_INTERVAL_MS).unref()
}

class ThreadHost {
  readonly #plane: DataPlane
  readonly #log: SteeredLog | null
  readonly #assemblies = new Map<number, DocumentAssembly>()
  readonly #levels = new Map<number, LogLevel>()

  constructor(plane: DataPlane, log: SteeredLog | null) {
    this.#plane = plane
    this.#log = log
  }

  async answer({ method, params }: ThreadRequest): Promise<unknown> {
    const plane = this.#plane
    switch (method) {
      case 'begin':
        this.#assemblies.set(params.generation, new DocumentAssembly(params.head))
        return
      case 'add':
        return this.#assembly(params.generation).add(params.part)
      case 'prepare':
        return this.#prepare(params.generation)
      case 'switchTo':
        return this.#switchTo(params.generation, params.endpoints)
      case 'discard':
        this.#assemblies.delete(params.generation)
        this.#levels.delete(params.generation)
        return plane.discard(params.generation)
      case 'listen':
        return (await plane.listen(params.key, params.source)).port
      case 'updateEndpoints':
        return plane.updateEndpoints(params.endpoints)
      case 'drain':
        return plane.drain(params.plan)
      case 'close':
        await plane.close()
        this.#log?.flush()
        return
      case 'stats':
        return plane.stats()
      default:
        throw new Error(`unknown call ${method satisfies never as ThreadMethod}`)
    }
  }

  async #prepare(generation: number): Promise<string[]> {
    const { document } = this.#assembly(generation)
    this.#assemblies.delete(generation)
    this.#levels.set(generation, document.log.level)
    return (await this.#plane.prepare(document, generation)).problems
  }

  /** All in one turn of the event loop: no exchange begins in between. */
  #switchTo(generation: number, endpoints: EndpointsUpdate): void {
    this.#plane.updateEndpoints(endpoints)
    this.#plane.switchTo(generation)
    this.#log?.setLevel(this.#levels.get(generation)!)
    this.#levels.delete(generation)
  }

  #assembly(generation: number): DocumentAssembly {
    const assembly = this.#assemblies.get(generation)
    if (assembly === undefined)
      throw new Error(`no document was begun for generation ${generation}`)
    return assembly
  }
}
