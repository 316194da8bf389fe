// Every policy that comes with Gatehouse, one line each.
import type { PolicyDefinition } from '../proxy/pipeline/policy.ts'
import { accessLog } from './access-log/access-log.ts'
import { anyOf } from './any-of/any-of.ts'
import { apiKey } from './api-key/api-key.ts'
import { basicAuth } from './basic-auth/basic-auth.ts'
import { block } from './block/block.ts'
import { bodyLimit } from './body-limit/body-limit.ts'
import { concurrency } from './concurrency/concurrency.ts'
import { contentType } from './content-type/content-type.ts'
import { cors } from './cors/cors.ts'
import { csrf } from './csrf/csrf.ts'
import { forwardAuth } from './forward-auth/forward-auth.ts'
import { headers } from './headers/headers.ts'
import { httpSignature } from './http-signature/http-signature.ts'
import { introspection } from './introspection/introspection.ts'
import { ipFilter } from './ip-filter/ip-filter.ts'
import { jwt } from './jwt/jwt.ts'
import { oidcLogin } from './oidc-login/oidc-login.ts'
import { quota } from './quota/quota.ts'
import { rateLimit } from './rate-limit/rate-limit.ts'
import { requestId } from './request-id/request-id.ts'
import { require } from './require/require.ts'
import { securityHeaders } from './security-headers/security-headers.ts'
import { upstreamAuth } from './upstream-auth/upstream-auth.ts'
import { validate } from './validate/validate.ts'

/** Those that provide the consumer: the alternatives of `any-of`. */
const authenticating = [
  apiKey,
  basicAuth,
  jwt,
  forwardAuth,
  introspection,
  oidcLogin,
  httpSignature,
] as const

const builtIn = [
  requestId,
  accessLog,
  headers,
  bodyLimit,
  cors,
  ...authenticating,
  anyOf(authenticating),
  require,
  ipFilter,
  csrf,
  block,
  contentType,
  validate,
  securityHeaders,
  upstreamAuth,
  rateLimit,
  quota,
  concurrency,
] as const

/** Any of the policies that come with Gatehouse, with its settings and name as types. */
export type BuiltInPolicy = (typeof builtIn)[number]

/** In the order in which the reference lists them. */
export const policies: readonly PolicyDefinition[] = builtIn
