// What a gateway process runs: the control plane with its data-plane threads and the admin API.
import { serveParent } from '../process/gateway-process.ts'
import { moduleUrl } from '../process/module-url.ts'
import { openAdmin } from './admin-server.ts'

serveParent({ threadEntry: moduleUrl('../process/data-thread', import.meta.url), openAdmin })
