// What a gateway process runs in tests of the process model.
import { openAdmin } from '../admin/admin-server.ts'
import { serveParent } from './gateway-process.ts'

serveParent({ threadEntry: new URL('./thread.test-support.ts', import.meta.url), openAdmin })
