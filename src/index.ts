// What programs and policies import from `gatehouse`.
export {
  type DiscoveredEndpoint,
  type DiscoveryContext,
  type DiscoveryDefinition,
  defineDiscovery,
} from './config/define-discovery.ts'
export { defineGateway } from './config/define-gateway.ts'
export { GatewayConfigurationError } from './config/load-object.ts'
export type { DocumentInput as GatewayConfig } from './config/schema.ts'
export type { ErrorCode } from './errors.ts'
export {
  createGateway,
  type Gateway,
  type GatewayAddress,
  type GatewayOptions,
} from './gateway/gateway.ts'
export { byteSize, durationMs } from './lib/units.ts'
export { policyProblems } from './policies/policy-contract.ts'
export type { Exchange } from './proxy/pipeline/exchange.ts'
export {
  definePolicy,
  type PolicyDefinition,
  type PolicyEnvironment,
  type PolicyHooks,
  type PolicyLog,
} from './proxy/pipeline/policy.ts'
export type { ProblemDetails, Reply } from './proxy/pipeline/reply.ts'
