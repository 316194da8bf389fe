// The consumers of a document, ready to be looked up.
import type { ConsumerDirectory } from '../proxy/pipeline/consumer.ts'
import { NO_CONSUMERS } from '../proxy/pipeline/inert-environment.ts'
import type { Document } from './schema.ts'

/** Compiles the consumers of a document. */
export function compileConsumers(_document: Document): ConsumerDirectory {
  return NO_CONSUMERS
}
