// Loads configurations in a worker that is thrown away afterwards: parsing a large one takes seconds,
// and modules that were imported never leave the memory of their thread.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { LoadResult } from './load.ts'
import { reasonOf } from './sources/module-source.ts'

/** A module of the configuration that never finishes loading must not hold up reloading for ever. */
const TIMEOUT_MS = 120_000

const KIND = 'gatehouse:load'

interface Job {
  readonly file: string
  readonly finish: (result: LoadResult) => void
}

/** A worker that loads one file after the other, with the environment of this process. */
export class LoadWorker {
  readonly #worker = new Worker(new URL(import.meta.url), { workerData: KIND, name: 'config' })
  #job: Job | null = null
  #isUsable = true

  constructor() {
    this.#worker.on('message', (result: LoadResult) => this.#job?.finish(result))
    this.#worker.on('error', (error) => this.#fail(`loading failed: ${reasonOf(error)}`))
    this.#worker.on('exit', (code) => this.#fail(`loading ended early, with code ${code}`))
  }

  /** Whether it can load another file. */
  get isUsable(): boolean {
    return this.#isUsable
  }

  /** Loads a file like `loadDocument`; wait for the end before the next. Never rejects. */
  load(file: string, timeoutMs: number = TIMEOUT_MS): Promise<LoadResult> {
    this.#worker.ref()
    return new Promise((resolve) => {
      const finish = (result: LoadResult) => {
        clearTimeout(timer)
        this.#job = null
        // Waiting for the next file is no reason to live on.
        this.#worker.unref()
        resolve(result)
      }
      const timer = setTimeout(
        () => this.#fail(`loading took longer than ${timeoutMs} ms`),
        timeoutMs,
      )
      this.#job = { file, finish }
      this.#worker.postMessage(file)
    })
  }

  end(): void {
    this.#isUsable = false
    void this.#worker.terminate()
  }

  #fail(message: string): void {
    this.#isUsable = false
    const { file = '', finish } = this.#job ?? {}
    finish?.({
      document: null,
      problems: [{ severity: 'error', file, line: 1, column: 1, path: '', message }],
    })
  }
}

/** Loads one file in a worker of its own. Never rejects. */
export async function loadInWorker(file: string, timeoutMs?: number): Promise<LoadResult> {
  const worker = new LoadWorker()
  const result = await worker.load(file, timeoutMs)
  worker.end()
  return result
}

if (!isMainThread && workerData === KIND) {
  // Messages wait until somebody listens. Only here: whoever waits for the result stays small.
  const { loadDocument } = await import('./load.ts')
  parentPort!.on('message', async (file: string) => {
    parentPort!.postMessage(await loadDocument(file))
  })
}
