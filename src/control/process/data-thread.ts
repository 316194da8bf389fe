// What a data-plane thread runs: the policies, the log and the data plane, under the control plane's calls.
import { parentPort, workerData } from 'node:worker_threads'
import { importPlugins } from '../../config/plugins.ts'
import { createDataPlane } from '../../gateway/data-plane.ts'
import { policies } from '../../policies/registry.ts'
import { withPlugins } from '../../policies/with-plugins.ts'
import { PortDocuments } from './document-port.ts'
import { watchEventLoop } from './event-loop-watch.ts'
import { hostPlane } from './thread-host.ts'
import { ThreadLog } from './thread-log.ts'
import type { ThreadData } from './thread-protocol.ts'

const port = parentPort!
const data = workerData as ThreadData
const { shared, threadIndex } = data
const all = withPlugins(policies, await importPlugins(data.plugins))
const log = new ThreadLog(data, (batch) => port.postMessage(batch))
const plane = createDataPlane({
  shared,
  threadIndex,
  policies: new Map(all.map((policy) => [policy.name, policy])),
  log,
  documents: new PortDocuments(data.documents),
})
watchEventLoop(shared.metrics, threadIndex)
hostPlane(port, data, plane, log)
