// The way to write a configuration in TypeScript.
import type { DocumentInput } from './schema.ts'

/**
 * Declares a configuration for `gatehouse.config.ts`: `export default defineGateway({ ... })`. Returns it
 * unchanged; an editor completes and checks it. It is plain data: code belongs in policies.
 */
export function defineGateway(config: DocumentInput): DocumentInput {
  return config
}
