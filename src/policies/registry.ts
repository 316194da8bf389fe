// Every policy that comes with Gatehouse, one line each.
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { accessLog } from './access-log/access-log.ts'
import { bodyLimit } from './body-limit/body-limit.ts'
import { cors } from './cors/cors.ts'
import { headers } from './headers/headers.ts'
import { requestId } from './request-id/request-id.ts'

/** In the order in which the reference lists them. */
export const policies: readonly PolicyDefinition[] = [
  requestId,
  accessLog,
  headers,
  bodyLimit,
  cors,
]
