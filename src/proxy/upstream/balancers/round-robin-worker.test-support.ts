// One of several threads that pick in turn from the same endpoints; see round-robin.test.ts.
import { parentPort, workerData } from 'node:worker_threads'
import { Endpoint } from '../endpoint.ts'
import { EndpointTable } from '../endpoint-table.ts'
import { requestOf } from './balancer.contract.ts'
import { roundRobin } from './round-robin.ts'

const { buffers, threadIndex, settings, picks } = workerData
const table = EndpointTable.attach(buffers, threadIndex)
const endpoints: Endpoint[] = settings.map(
  (each: ConstructorParameters<typeof Endpoint>[1]) => new Endpoint(table, each),
)
const picker = roundRobin(endpoints, { turns: table.turns(0), random: Math.random })
const counts = endpoints.map(() => 0)
const request = requestOf(0)

// All begin together, so that they really take turns from each other.
parentPort!.once('message', () => {
  for (let pick = 0; pick < picks; pick += 1) {
    const endpoint = picker.pick(request, [])!
    endpoint.begin()
    counts[endpoints.indexOf(endpoint)]! += 1
    endpoint.end(1, false)
  }
  parentPort!.postMessage(counts)
})
parentPort!.postMessage('ready')
