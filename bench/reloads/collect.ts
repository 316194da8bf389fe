// Imported into every thread of the gateway that is measured: on SIGWINCH all of them collect their garbage,
// and the main thread says how much all heaps hold.
import { isMainThread } from 'node:worker_threads'

const ANSWERING_MS = 300

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
  process.on('SIGWINCH', () => {
    orders.postMessage(null)
    let heapBytes = collect()
    answers.onmessage = ({ data }: { readonly data: unknown }) => {
      heapBytes += Number(data)
    }
    setTimeout(() => process.stderr.write(`heap: ${heapBytes}\n`), ANSWERING_MS)
  })
} else orders.onmessage = () => answers.postMessage(collect())
