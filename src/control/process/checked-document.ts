// A configuration on its way between processes.
import type { Document } from '../../config/schema.ts'
import { type CheckedDocument, DOCUMENT_BYTES_MAX } from './parent-protocol.ts'
import { socketNeeds } from './socket-needs.ts'

/** Prepares a document for the parent. @throws Error when it is too large to be handed over. */
export function toChecked(document: Document): CheckedDocument {
  const json = JSON.stringify(document)
  if (json.length > DOCUMENT_BYTES_MAX) {
    throw new Error(`the configuration is larger than ${DOCUMENT_BYTES_MAX / 1024 / 1024} MB`)
  }
  return { json, needs: socketNeeds(document), drain: document.drain }
}

/** The document again. */
export function fromChecked(checked: CheckedDocument): Document {
  return JSON.parse(checked.json) as Document
}
