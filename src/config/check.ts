// Checks that one value alone cannot fail: what names each other exists, fits and makes sense.
import { checkConsumers } from './check/consumers.ts'
import { checkCredentials } from './check/credentials.ts'
import { checkFiles } from './check/files.ts'
import type { CheckInput } from './check/input.ts'
import { checkPolicies } from './check/policies.ts'
import { checkRoutes } from './check/routes.ts'
import { checkServices } from './check/services.ts'
import { checkState } from './check/state.ts'
import type { Finding } from './problem.ts'

/** Everything that is wrong with a document beyond its schema. */
export function checkDocument(input: CheckInput): Finding[] {
  return [
    ...checkServices(input),
    ...checkFiles(input),
    ...checkConsumers(input),
    ...checkCredentials(input),
    ...checkState(input),
    ...checkPolicies(input),
    ...checkRoutes(input),
  ]
}
