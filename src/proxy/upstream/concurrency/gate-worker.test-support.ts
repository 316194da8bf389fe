// One of several threads that all want places at the same service; see gate-threads.test.ts.
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../../lib/clock.ts'
import { TimerWheel } from '../../../lib/timer-wheel.ts'
import { EndpointTable } from '../endpoint-table.ts'
import { ConcurrencyGate, type Place, type PlaceSeeker } from './concurrency-gate.ts'

const { buffers, threadIndex, settings, requests, crowd } = workerData
const table = EndpointTable.attach(buffers, threadIndex)
const held: Int32Array = crowd
const gate = new ConcurrencyGate(
  { shared: table.concurrency, clock: systemClock, wheel: new TimerWheel(systemClock) },
  { awaited: () => {}, refused: () => {} },
)
gate.configure(settings, 0)

let begun = 0
let ended = 0
let most = 0

/** Holds a place for a turn of the loop or two, like all the others do. */
class Request implements PlaceSeeker {
  waiting: { cancel(): void } | null = null

  start(): void {
    const place = gate.tryEnter(1)
    if (place === null) gate.wait(this, begun % 4, Number.POSITIVE_INFINITY)
    else this.onPlace(place)
  }

  onPlace(place: Place | null): void {
    most = Math.max(most, Atomics.add(held, 0, 1) + 1)
    setImmediate(() => {
      Atomics.sub(held, 0, 1)
      place!.leave(1, false)
      next()
    })
  }

  onRefused(): void {
    throw new Error('there is room for all to wait')
  }
}

function next(): void {
  ended++
  if (begun < requests) begin()
  else if (ended === requests) parentPort!.postMessage({ ended, most })
}

function begin(): void {
  begun++
  new Request().start()
}

// Listening also keeps the thread alive while it only waits for others.
parentPort!.on('message', () => {
  for (let i = 0; i < 20; i++) begin()
})
parentPort!.postMessage('ready')
