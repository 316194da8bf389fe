// Inside a data-plane thread: answers the control plane's calls with the thread's data plane.
import type { MessagePort } from 'node:worker_threads'
import type { DataPlane } from '../../gateway/plane.ts'
import {
  DocumentAssembly,
  type ThreadData,
  type ThreadMethod,
  type ThreadRequest,
  type ThreadResponse,
} from './thread-protocol.ts'

/** How often a thread shows that its event loop turns, in milliseconds. */
export const BEAT_INTERVAL_MS = 500

/** Serves calls for as long as the thread lives. */
export function hostPlane(port: MessagePort, data: ThreadData, plane: DataPlane): void {
  const host = new ThreadHost(plane)
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
  const beat = setInterval(() => Atomics.add(data.beats, data.threadIndex, 1), BEAT_INTERVAL_MS)
  beat.unref()
}

class ThreadHost {
  readonly #plane: DataPlane
  readonly #assemblies = new Map<number, DocumentAssembly>()

  constructor(plane: DataPlane) {
    this.#plane = plane
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
        return plane.switchTo(params.generation)
      case 'discard':
        this.#assemblies.delete(params.generation)
        return plane.discard(params.generation)
      case 'listen':
        return (await plane.listen(params.listener, params.source)).port
      case 'updateEndpoints':
        return plane.updateEndpoints(params.update)
      case 'drain':
        return plane.drain(params.timeoutMs)
      case 'close':
        return plane.close()
      case 'stats':
        return plane.stats()
      default:
        throw new Error(`unknown call ${method satisfies never as ThreadMethod}`)
    }
  }

  async #prepare(generation: number): Promise<string[]> {
    const { document } = this.#assembly(generation)
    this.#assemblies.delete(generation)
    return (await this.#plane.prepare(document, generation)).problems
  }

  #assembly(generation: number): DocumentAssembly {
    const assembly = this.#assemblies.get(generation)
    if (assembly === undefined)
      throw new Error(`no document was begun for generation ${generation}`)
    return assembly
  }
}
