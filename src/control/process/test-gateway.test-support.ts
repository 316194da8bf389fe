// What a gateway process runs in tests of the process model.
import { serveParent } from './gateway-process.ts'

serveParent(new URL('./test-thread.test-support.ts', import.meta.url))
