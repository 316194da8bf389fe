// Small values that several parts of the configuration share: names, paths of files, header names.
import { resolve } from 'node:path'
import { z } from 'zod'
import type { PolicyDefinition } from '../../proxy/pipeline/policy.ts'

/** What the schema must know beyond the document itself. */
export interface SchemaContext {
  /** The policies that `use` and `policies` may name: built in and from plugins. */
  readonly policies: readonly PolicyDefinition[]
  /** The names that the document's `policies` defines. */
  readonly names: readonly string[]
  /** Absolute directory that relative file paths start from. */
  readonly directory: string
  /** The module URL of each entry of `plugins`, by its text; what is missing stays as written. */
  readonly plugins: ReadonlyMap<string, string>
}

/** A name of a service, a policy or a stage. */
export function name(what: string) {
  return z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
    error: `this is not a name that ${what} can have`,
    params: { expected: 'letters, digits, dots, dashes and underscores, at most 64' },
  } as z.core.$ZodCheckRegexParams)
}

/** A path of a file; relative ones start at the configuration's directory. The output is absolute. */
export function filePath(context: SchemaContext) {
  return z
    .string()
    .min(1, 'a file name is needed')
    .transform((path) => resolve(context.directory, path))
}

/** A header or trailer name (RFC 9110 5.1); the output is lower case. */
export function fieldName() {
  return z
    .string()
    .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'this is not a valid header name')
    .transform((text) => text.toLowerCase())
}

/** A value a header can carry (RFC 9110 5.5). */
export function fieldValue() {
  return z
    .string()
    .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'this holds a character that no header may carry')
}

/** Adds one problem to a zod context; `expected` says what would have been right. */
export function refuse(context: z.core.$RefinementCtx, message: string, expected?: string): void {
  context.addIssue({ code: 'custom', message, ...(expected ? { params: { expected } } : {}) })
}

/**
 * Whether the value has unknown keys, which are reported already: one of them may be the misspelt name of
 * what would otherwise be called missing.
 */
export function hasUnknownKeys(context: z.core.$RefinementCtx): boolean {
  return context.issues.some((issue) => issue.code === 'unrecognized_keys')
}
