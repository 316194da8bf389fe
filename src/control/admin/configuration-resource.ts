// GET /config: the configuration that runs now, shorthands expanded, without what must stay secret.
import type { Document } from '../../config/schema.ts'
import type { AdminResource } from './resource.ts'

const MASK = '***'

export const configurationResource: AdminResource = {
  path: '/config',
  answer(view) {
    const body = `${JSON.stringify(maskSecrets(view.document()), null, 2)}\n`
    return { status: 200, contentType: 'application/json', body }
  },
}

/** A copy of the document with a mask in the place of every value that `secrets` points to. */
function maskSecrets(document: Document): Omit<Document, 'secrets'> {
  const { secrets, ...shown } = document
  const pointers = new Set(secrets)
  const copy = (value: unknown, pointer: string): unknown => {
    if (pointers.has(pointer)) return MASK
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((item, index) => copy(item, `${pointer}/${index}`))
    const entries = Object.entries(value)
    return Object.fromEntries(
      entries.map(([key, item]) => [key, copy(item, `${pointer}/${escapeKey(key)}`)]),
    )
  }
  return copy(shown, '') as Omit<Document, 'secrets'>
}

/** A key as it stands in a JSON pointer (RFC 6901). */
function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
