// Loads the configuration for one reload after the other. Most of the time of a load goes into starting
// the worker, so one that imported nothing of the configuration's serves a few seconds longer.
import type { LoadResult } from '../../config/load.ts'
import { LoadWorker } from '../../config/load-worker.ts'
import { codeModules, isCode } from './code-files.ts'

/** How long a worker waits for the next reload, in milliseconds. */
const KEPT_MS = 10_000

/** Loads one file at a time. */
export class ConfigurationLoader {
  readonly #file: string
  #kept: LoadWorker | null = null
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(file: string) {
    this.#file = file
  }

  /** Loads the file as it is now. Never rejects. */
  async load(): Promise<LoadResult> {
    clearTimeout(this.#timer)
    const worker = this.#kept?.isUsable === true ? this.#kept : new LoadWorker()
    this.#kept = null
    const result = await worker.load(this.#file)
    if (this.#isClosed || !this.#importedNothing(result)) worker.end()
    else {
      this.#kept = worker
      this.#timer = setTimeout(() => this.#release(), KEPT_MS).unref()
    }
    return result
  }

  close(): void {
    this.#isClosed = true
    this.#release()
  }

  /** Modules stay as they were when they were imported, failures included. */
  #importedNothing({ document }: LoadResult): boolean {
    return document !== null && !isCode(this.#file) && codeModules(document).length === 0
  }

  #release(): void {
    clearTimeout(this.#timer)
    this.#kept?.end()
    this.#kept = null
  }
}
