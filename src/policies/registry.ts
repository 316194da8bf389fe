// Every policy that comes with Gatehouse, one line each.
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { accessLog } from './access-log/access-log.ts'
import { bodyLimit } from './body-limit/body-limit.ts'
import { cors } from './cors/cors.ts'
import { headers } from './headers/headers.ts'
import { requestId } from './request-id/request-id.ts'

const builtIn = [requestId, accessLog, headers, bodyLimit, cors] as const

/** Any of the policies that come with Gatehouse, with its settings and name as types. */
export type BuiltInPolicy = (typeof builtIn)[number]

/** In the order in which the reference lists them. */
export const policies: readonly PolicyDefinition[] = builtIn
