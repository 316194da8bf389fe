// Which values of a document nobody may be shown, and how they are hidden.
import type { Resolved } from './references.ts'
import type { Document, PolicyUse } from './schema.ts'

/** What is shown in the place of a secret. */
const MASK = '***'

/** A value as short as this hides only where it stands alone, or every text that holds an "a" would vanish. */
const PART_LENGTH_MIN = 4

/** The JSON pointers of all values in a document that came from references, or are secret by nature. */
export function secretPointers(document: Document, references: Resolved['values']): string[] {
  const pointers = new Set<string>()
  const values = new Set([...references.values()].flat().filter((value) => value !== ''))
  const seen = new Set<string>()
  const parts = [...values].filter((value) => value.length >= PART_LENGTH_MIN)
  walkText(document, '', (text, pointer) => {
    const found = values.has(text) ? [text] : parts.filter((part) => text.includes(part))
    for (const value of found) seen.add(value)
    if (found.length > 0) pointers.add(pointer)
  })
  for (const [index, service] of document.services.entries()) {
    if (service.sticky !== null) pointers.add(`/services/${index}/sticky/secret`)
  }
  for (const [index, consumer] of document.consumers.entries()) {
    const at = `/consumers/${index}`
    for (const place of consumer.keys.keys()) pointers.add(`${at}/keys/${place}/hash`)
    for (const place of consumer.passwords.keys()) pointers.add(`${at}/passwords/${place}/hash`)
    for (const place of consumer.signatureKeys.keys()) {
      pointers.add(`${at}/signatureKeys/${place}/key`)
    }
  }
  // A policy's schema may have turned its secret into something else: then all its settings are hidden.
  const changed = [...references].filter(([, found]) => found.some((value) => !seen.has(value)))
  const policies = new Set(changed.flatMap(([path]) => path.split(/[.[\]]+/)))
  walkUses(document, ({ policy, settings }, pointer) => {
    const place = `${pointer}/settings`
    if (policies.has(policy)) pointers.add(place)
    walkText(settings, place, (_, at) => {
      if (SECRET_SETTING.test(at)) pointers.add(at)
    })
  })
  return [...pointers]
}

/** A copy of a document with a mask in the place of every value that `secrets` points to. */
export function maskSecrets(document: Document): Document {
  const pointers = new Set(document.secrets)
  const copy = (value: unknown, pointer: string): unknown => {
    if (pointers.has(pointer)) return MASK
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((item, index) => copy(item, `${pointer}/${index}`))
    const entries = Object.entries(value)
    return Object.fromEntries(
      entries.map(([key, item]) => [key, copy(item, `${pointer}/${escapeKey(key)}`)]),
    )
  }
  return copy(document, '') as Document
}

/** Hides what references stand for in a text that is shown to people. */
export function maskText(text: string, references: Resolved['values']): string {
  let masked = text
  for (const value of [...references.values()].flat()) {
    if (value.length >= PART_LENGTH_MIN) masked = masked.replaceAll(value, MASK)
  }
  return masked
}

function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function walkText(
  value: unknown,
  pointer: string,
  visit: (text: string, pointer: string) => void,
): void {
  if (typeof value === 'string') visit(value, pointer)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      walkText(item, `${pointer}/${escapeKey(key)}`, visit)
  }
}

function walkUses(document: Document, visit: (use: PolicyUse, pointer: string) => void): void {
  for (const [index, use] of document.use.entries()) visit(use, `/use/${index}`)
  for (const [routeIndex, route] of document.routes.entries()) {
    for (const [index, use] of route.use.entries()) visit(use, `/routes/${routeIndex}/use/${index}`)
  }
}

/** The names under which policies take secrets: `secret`, `clientSecret`, `sessionToken`, `key`, a header's value. */
const SECRET_SETTING = /\/(\w*(secret|password)\w*|\w+Token|key|header\/value)(\/\d+)?$/i

const SECRET_PLACE = /^consumers\b|(secret|password|passwd|token|credential|htpasswd)|\bkeys?\b/i

/** Whether what was written at a path may be a secret, so that the line itself is shown to nobody. */
export function mayHoldSecret(path: string): boolean {
  return SECRET_PLACE.test(path)
}
