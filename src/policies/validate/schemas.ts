// The schemas of one use of the policy, compiled: JSON Schema 2020-12 by Ajv, in time that no request
// can blow up.
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import { LinearRegExp } from '../../lib/linear-regexp.ts'
import type { Kept } from '../../proxy/pipeline/policy.ts'

/** What a request is held against, as it is written. */
export type WrittenSchema = Readonly<Record<string, unknown>>

/** One thing that is wrong with a request. */
export interface Finding {
  /** `body/items/0/name`, `query/page`. */
  readonly path: string
  readonly message: string
}

const FINDINGS_MAX = 20
const PATH_LENGTH_MAX = 200
const MESSAGE_LENGTH_MAX = 200
/** Up to so many members, everything that is wrong is told; beyond, only the first. */
const MEMBERS_TOLD_MAX = 500
/** Formats are checked by expressions that backtrack, so only in texts that are short. */
const FORMAT_LENGTH_MAX = 2048
const FORMATS = [
  'date',
  'time',
  'date-time',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uri',
  'uri-reference',
  'uri-template',
  'uuid',
  'json-pointer',
  'relative-json-pointer',
  'byte',
] as const
const NUMBER_FORMATS = ['int32', 'int64', 'float', 'double'] as const

/** One schema. */
export class CompiledSchema implements Kept {
  readonly #first: ValidateFunction
  readonly #all: ValidateFunction

  /** @throws Error saying what is wrong with the schema. */
  constructor(schema: WrittenSchema) {
    checkSchema(schema)
    this.#first = compile(schema, false)
    this.#all = compile(schema, true)
  }

  /**
   * What is wrong with the value, at most FINDINGS_MAX; null when nothing is.
   * @param place `body`, `query`, ...: where all paths begin.
   * @param members of objects and items of arrays in the value.
   */
  findings(value: unknown, place: string, members: number): Finding[] | null {
    const validate = members <= MEMBERS_TOLD_MAX ? this.#all : this.#first
    if (validate(value) === true) return null
    const errors = validate.errors ?? []
    const found: Finding[] = []
    for (let index = 0; index < errors.length && index < FINDINGS_MAX; index++) {
      found.push(finding(errors[index]!, place))
    }
    validate.errors = null
    return found
  }

  dispose(): void {}
}

/** Knows what a schema may look like; costly to make. */
let metaSchema: Ajv2020 | null = null

function checkSchema(schema: WrittenSchema): void {
  metaSchema ??= new Ajv2020({ strict: false, logger: false })
  if (metaSchema.validateSchema(schema) === true) return
  throw new Error(metaSchema.errorsText(metaSchema.errors, { dataVar: 'schema', separator: '; ' }))
}

/** One engine a schema: they never see each other's names. */
function compile(schema: WrittenSchema, allErrors: boolean): ValidateFunction {
  const ajv = new Ajv2020({
    meta: false,
    validateSchema: false,
    allErrors,
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    allowUnionTypes: true,
    ownProperties: true,
    logger: false,
    code: { regExp: linearRegExp },
  })
  for (const name of FORMATS) ajv.addFormat(name, boundedFormat(name))
  for (const name of NUMBER_FORMATS) ajv.addFormat(name, fullFormats[name])
  for (const name of ['password', 'binary']) ajv.addFormat(name, true)
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'must NOT have duplicate items' },
    validate: (isUnique: boolean, items: unknown[]) => !isUnique || !hasDuplicates(items),
  })
  const validate = ajv.compile(schema)
  // Its answer would be a promise, and every promise is true.
  if ('$async' in validate) throw new Error('`$async` is not supported')
  return validate
}

/** For Ajv, which tells patterns apart by their text. */
function linearRegExp(pattern: string) {
  const compiled = new LinearRegExp(pattern)
  return { test: (text: string) => compiled.test(text), toString: () => pattern }
}
linearRegExp.code = 'linearRegExp'

function boundedFormat(name: (typeof FORMATS)[number]): (text: string) => boolean {
  const format = fullFormats[name]
  const check = typeof format === 'object' && 'validate' in format ? format.validate : format
  const test =
    check instanceof RegExp
      ? (text: string) => check.test(text)
      : (check as (text: string) => boolean)
  return (text) => text.length <= FORMAT_LENGTH_MAX && test(text)
}

/** Ajv compares each with each. */
function hasDuplicates(items: readonly unknown[]): boolean {
  return new Set(items.map(canonical)).size < items.length
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`,
  )
  return `{${members.sort().join(',')}}`
}

function finding({ instancePath, keyword, message, params }: ErrorObject, place: string): Finding {
  const surplus = keyword === 'additionalProperties' ? params.additionalProperty : null
  const unevaluated = keyword === 'unevaluatedProperties' ? params.unevaluatedProperty : surplus
  const path =
    typeof unevaluated === 'string' ? `${instancePath}/${pointerPart(unevaluated)}` : instancePath
  return {
    path: cut(`${place}${path}`, PATH_LENGTH_MAX),
    message: cut(
      typeof unevaluated === 'string' ? 'must NOT be there' : (message ?? 'is not valid'),
      MESSAGE_LENGTH_MAX,
    ),
  }
}

function pointerPart(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 3)}...`
}
