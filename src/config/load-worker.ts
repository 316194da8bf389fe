// Loads a configuration in a worker that is thrown away afterwards: parsing a large one takes seconds,
// and modules that were imported never leave the memory of their thread.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { LoadResult } from './load.ts'
import { reasonOf } from './sources/module-source.ts'

/** A module of the configuration that never finishes loading must not hold up reloading for ever. */
const TIMEOUT_MS = 120_000

interface LoadJob {
  readonly kind: 'gatehouse:load'
  readonly file: string
}

/** Loads a file like `loadDocument`, with the environment of this process. Never rejects. */
export function loadInWorker(file: string, timeoutMs: number = TIMEOUT_MS): Promise<LoadResult> {
  const job: LoadJob = { kind: 'gatehouse:load', file }
  const worker = new Worker(new URL(import.meta.url), {
    workerData: job,
    name: 'config',
  })
  return new Promise((resolve) => {
    const finish = (result: LoadResult) => {
      clearTimeout(timer)
      resolve(result)
      void worker.terminate()
    }
    const timer = setTimeout(
      () => finish(failure(file, `loading took longer than ${timeoutMs} ms`)),
      timeoutMs,
    )
    worker.once('message', finish)
    worker.once('error', (error) => finish(failure(file, `loading failed: ${reasonOf(error)}`)))
    worker.once('exit', (code) => finish(failure(file, `loading ended early, with code ${code}`)))
  })
}

function failure(file: string, message: string): LoadResult {
  return {
    document: null,
    problems: [{ severity: 'error', file, line: 1, column: 1, path: '', message }],
  }
}

function isJob(data: unknown): data is LoadJob {
  return (
    typeof data === 'object' && data !== null && 'kind' in data && data.kind === 'gatehouse:load'
  )
}

if (!isMainThread && isJob(workerData)) {
  // Only here: whoever waits for the result stays small.
  const { loadDocument } = await import('./load.ts')
  parentPort!.postMessage(await loadDocument(workerData.file))
}
