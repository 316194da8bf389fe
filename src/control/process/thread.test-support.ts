// What a data-plane thread runs in tests of the process model.
import { parentPort, workerData } from 'node:worker_threads'
import { TestPlane } from './plane.test-support.ts'
import { hostPlane } from './thread-host.ts'

hostPlane(parentPort!, workerData, new TestPlane(workerData.threadIndex), null)
