// Imported into every thread of the gateway that is measured: on SIGWINCH all of them collect their garbage,
// and when the last has, the main thread says how much all heaps hold.
import { isMainThread, type Worker } from 'node:worker_threads'

/** A thread that ends meanwhile does not answer. */
const ANSWERS_TIMEOUT_MS = 5_000

type Channel = BroadcastChannel & { unref(): void }

const orders = new BroadcastChannel('collect') as Channel
const answers = new BroadcastChannel('collected') as Channel
orders.unref()
answers.unref()

/** Bytes that the heap of this thread holds after a collection. */
function collect(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

if (isMainThread) {
  const workers = new Set<Worker>()
  process.on('worker', (worker: Worker) => {
    workers.add(worker)
    worker.once('exit', () => workers.delete(worker))
  })
  process.on('SIGWINCH', () => {
    let missing = workers.size
    orders.postMessage(null)
    let heapBytes = collect()
    const tell = (): void => {
      clearTimeout(timer)
      answers.onmessage = null
      process.stderr.write(`heap: ${heapBytes}\n`)
    }
    const timer = setTimeout(tell, ANSWERS_TIMEOUT_MS)
    answers.onmessage = ({ data }: { readonly data: unknown }) => {
      heapBytes += Number(data)
      if (--missing === 0) tell()
    }
  })
} else orders.onmessage = () => answers.postMessage(collect())
