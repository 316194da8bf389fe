// Imported into every thread of the gateway that is measured: on SIGWINCH all of them collect their garbage.
import { isMainThread } from 'node:worker_threads'

const channel = new BroadcastChannel('collect') as BroadcastChannel & { unref(): void }
channel.unref()

function collect(): void {
  globalThis.gc?.()
  globalThis.gc?.()
}

if (isMainThread) {
  process.on('SIGWINCH', () => {
    channel.postMessage(null)
    collect()
  })
} else channel.onmessage = collect
