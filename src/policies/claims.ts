// From the claims of a token to the consumer and to the headers that tell the service who calls.
import { z } from 'zod'
import { FieldEdits } from '../proxy/http/compose-head.ts'
import type { Consumer } from '../proxy/pipeline/consumer.ts'
import type { Exchange } from '../proxy/pipeline/exchange.ts'
import { fieldLine } from '../proxy/pipeline/reply.ts'
import { fieldName, isProtectedField } from './field.ts'

/** The claims of a token, as JSON. */
export type Claims = Readonly<Record<string, unknown>>

/** The name of a claim; what begins with `/` is a JSON pointer (RFC 6901) into the claims. */
export function claimName() {
  return z
    .string()
    .min(1, 'a claim is needed')
    .max(256)
    .regex(/^(?!\/.*~(?![01]))/s, 'in a JSON pointer, "~" is written "~0" and "/" is written "~1"')
}

const NOT_FOR_CLAIMS = ['authorization', 'cookie', 'dpop', 'proxy-authorization']

/** The setting `consumer`: which claims say who calls. */
export function consumerSetting() {
  return z
    .strictObject({
      id: claimName().default('sub').describe('The claim that names the caller. Must be there.'),
      groups: claimName()
        .default('groups')
        .describe('The claim with its groups: a list of texts, or one text. May be missing.'),
      known: z
        .enum(['optional', 'required'])
        .default('optional')
        .describe(
          'Whether the caller must be a consumer of the configuration, by one of its `tokens`.',
        ),
    })
    .prefault({})
}

/** The setting `consumer`, parsed. */
export type ConsumerSettings = z.output<ReturnType<typeof consumerSetting>>

/** The setting `forward`: headers for the service, each with its claim. */
export function forwardSetting() {
  const name = fieldName()
    .refine((text) => !isProtectedField(text, 'request'), 'the gateway itself writes this header')
    .refine(
      (text) => !NOT_FOR_CLAIMS.includes(text.toLowerCase()),
      'this header carries credentials; choose another',
    )
  return z.record(name, claimName()).default({})
}

/** What is made of the claims of one token, once; serves all its requests. */
export interface Identity {
  readonly consumer: Consumer
  /** Three entries a header that the service gets: lower-case name, value, line with CRLF. */
  readonly forwarded: readonly string[]
}

/** Reads claims as the settings say. */
export class ClaimReader {
  readonly #id: ClaimPath
  readonly #groups: ClaimPath
  readonly #forward: readonly (readonly [name: string, path: ClaimPath])[]

  constructor(
    consumer: Pick<ConsumerSettings, 'id' | 'groups'>,
    forward: z.output<ReturnType<typeof forwardSetting>>,
  ) {
    this.#id = new ClaimPath(consumer.id)
    this.#groups = new ClaimPath(consumer.groups)
    this.#forward = Object.entries(forward).map(([name, claim]) => [name, new ClaimPath(claim)])
  }

  /** The identity that the claims give; null when they name nobody. */
  identity(claims: Claims): Identity | null {
    const id = this.#id.read(claims)
    if (typeof id !== 'string' || id === '') return null
    const forwarded: string[] = []
    for (const [name, path] of this.#forward) {
      const value = headerValue(path.read(claims))
      if (value !== null) forwarded.push(name.toLowerCase(), value, fieldLine(name, value))
    }
    return { consumer: { id, groups: groupsOf(this.#groups.read(claims)), claims }, forwarded }
  }
}

/** Adds the headers of an identity to what the service gets. */
export function forwardIdentity(exchange: Exchange, { forwarded }: Identity): void {
  if (forwarded.length === 0) return
  exchange.requestEdits ??= new FieldEdits()
  const edits = exchange.requestEdits
  for (let at = 0; at < forwarded.length; at += 3) {
    edits.remove(forwarded[at]!)
    edits.add(forwarded[at]!, forwarded[at + 1]!, forwarded[at + 2]!)
  }
}

/** A claim by its name or JSON pointer. */
export class ClaimPath {
  readonly #steps: readonly string[]

  constructor(text: string) {
    this.#steps = text.startsWith('/')
      ? text
          .slice(1)
          .split('/')
          .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
      : [text]
  }

  /** The value there; undefined if there is none. */
  read(claims: Claims): unknown {
    let value: unknown = claims
    for (const step of this.#steps) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return
      value = (value as Record<string, unknown>)[step]
    }
    return value
  }
}

function groupsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value === '' ? [] : [value]
  if (!Array.isArray(value)) return []
  return value.filter((item) => typeof item === 'string' && item !== '')
}

/** The claim as a field value, UTF-8 as latin1; null when there is none, or it cannot be one. */
function headerValue(value: unknown): string | null {
  if (!Array.isArray(value)) return fieldText(value)
  // An item with a comma would be read as two by the service, and so give somebody a second group.
  const items = value.map(fieldText).filter((item) => item !== null && !item.includes(','))
  return items.length === 0 ? null : items.join(',')
}

function fieldText(value: unknown): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value !== 'string') return null
  const text = Buffer.from(value, 'utf8').toString('latin1').trim()
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || code === 0x7f) return null
  }
  return text === '' ? null : text
}
