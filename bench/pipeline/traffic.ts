// Client and upstream in a thread of their own, so that what they allocate does not count.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** What the worker is asked for: so many requests through the gateway at a port. */
export interface TrafficOrder {
  readonly port: number
  readonly requests: number
}

/** A thread with a raw upstream and raw keep-alive clients. */
export class TrafficWorker {
  readonly upstreamPort: number
  readonly #worker: Worker

  private constructor(worker: Worker, upstreamPort: number) {
    this.#worker = worker
    this.upstreamPort = upstreamPort
  }

  static async start(): Promise<TrafficWorker> {
    const worker = new Worker(new URL('./traffic-worker.ts', import.meta.url))
    const [port] = await once(worker, 'message')
    return new TrafficWorker(worker, port)
  }

  /** Resolves when all requests are answered; rejects if one is not answered with 200. */
  async send(port: number, requests: number): Promise<void> {
    this.#worker.postMessage({ port, requests } satisfies TrafficOrder)
    const [failure] = await once(this.#worker, 'message')
    if (failure !== null) throw new Error(failure)
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }
}
