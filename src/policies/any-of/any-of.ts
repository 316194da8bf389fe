// Several ways to say who calls, of which one is enough.
import { z } from 'zod'
import { type BodyUse, definePolicy, type PolicyDefinition } from '../../proxy/pipeline/policy.ts'
import { type Alternative, Alternatives, credentialPlaces } from './alternatives.ts'

/** One entry of `of`, as it is written: the settings of one policy under its name, or the name alone. */
type Written<Definition> =
  Definition extends PolicyDefinition<infer Schema, infer Name>
    ? Name | { readonly [Key in Name]: z.input<Schema> }
    : never

/** An alternative out of a plugin: its settings are checked when the configuration is loaded. */
type WrittenPlugin<Name extends string> = { readonly [Known in Name]?: never } & {
  readonly [plugin: string]: unknown
}

/** One entry of `of`, parsed. */
export interface AlternativeUse {
  readonly policy: string
  readonly settings: unknown
}

interface Settings {
  readonly of: readonly AlternativeUse[]
}

/** Makes the policy for these alternatives: policies that provide the consumer. */
export function anyOf<const Definitions extends readonly PolicyDefinition[]>(
  definitions: Definitions,
) {
  const byName = new Map(definitions.map((definition) => [definition.name, definition]))
  const definitionOf = (use: AlternativeUse): PolicyDefinition => byName.get(use.policy)!
  const alternatives = ({ of }: Settings): Alternative[] =>
    of.map((use) => ({ definition: definitionOf(use), settings: use.settings }))
  return definePolicy({
    name: 'any-of',
    summary: 'Lets in who is accepted by the first of several policies that finds a credential.',
    settings: z.strictObject({
      of: z
        .array(alternativeSchema(definitions))
        .min(2)
        .max(ALTERNATIVES_MAX)
        .describe('The policies, in the order in which they are asked: `{ api-key: {} }`.'),
    }),
    provides: ['consumer'],
    identityHeaders: (settings) =>
      alternatives(settings).flatMap(
        ({ definition, settings: own }) => definition.identityHeaders?.(own) ?? [],
      ),
    credentialPlaces: (settings) => alternatives(settings).flatMap(credentialPlaces),
    credentials: (settings) =>
      alternatives(settings).flatMap(
        ({ definition, settings: own }) => definition.credentials?.(own) ?? [],
      ),
    resolveFiles: ({ of }, resolve) => ({
      of: of.map((use) => {
        const settings = definitionOf(use).resolveFiles?.(use.settings, resolve) ?? use.settings
        return { policy: use.policy, settings }
      }),
    }),
    offline: (settings: Settings) => alternatives(settings).every(isOffline),
    body: bodyUse(definitions, alternatives),
    examples: [{ of: exampleOf(definitions) }],
    create: (settings, environment) =>
      new Alternatives(alternatives(settings), environment).hooks(),
  })
}

/** Its bits have one place each in what is kept per request. */
const ALTERNATIVES_MAX = 8

function isOffline({ definition, settings }: Alternative): boolean {
  const { offline = true } = definition
  return typeof offline === 'boolean' ? offline : offline(settings as never)
}

type Body = NonNullable<PolicyDefinition['body']>

/** What any of them does with a body. */
function bodyUse(
  definitions: readonly PolicyDefinition[],
  alternatives: (settings: Settings) => readonly Alternative[],
): Body {
  const request = definitions.map(({ body }) => body?.request).filter((use) => use !== undefined)
  const response = definitions.map(({ body }) => body?.response).filter((use) => use !== undefined)
  const buffer = (settings: unknown): number =>
    Math.max(...alternatives(settings as Settings).map(heldBytes))
  const held = request.some((use) => typeof use === 'object') ? { buffer } : undefined
  const body: { -readonly [Key in keyof Body]: Body[Key] } = {}
  if (request.length > 0) body.request = held ?? strongest(request)
  if (response.length > 0) body.response = strongest(response)
  return body
}

function heldBytes({ definition, settings }: Alternative): number {
  const use = definition.body?.request
  return typeof use === 'object' ? use.buffer(settings) : 0
}

function strongest(uses: readonly unknown[]): BodyUse {
  return uses.includes('transform') ? 'transform' : 'observe'
}

function alternativeSchema<Definitions extends readonly PolicyDefinition[]>(
  definitions: Definitions,
): z.ZodType<
  AlternativeUse,
  Written<Definitions[number]> | WrittenPlugin<Definitions[number]['name']>
> {
  const names = definitions.map(({ name }) => name)
  const short = definitions.filter(({ settings }) => settings.safeParse({}).success)
  const long = z
    .strictObject(
      Object.fromEntries(
        definitions.map(({ name, summary, settings }) => [
          name,
          settings.optional().describe(summary),
        ]),
      ),
    )
    .transform((value, ctx): AlternativeUse => {
      const given = Object.entries(value).filter(([, settings]) => settings !== undefined)
      const [only] = given
      if (only !== undefined && given.length === 1) return { policy: only[0], settings: only[1] }
      const message = 'one entry names one policy'
      ctx.addIssue({ code: 'custom', message, params: { expected: `one of ${names.join(', ')}` } })
      return z.NEVER
    })
  const byName = z.enum(short.map(({ name }) => name)).transform((policy): AlternativeUse => {
    const definition = short.find(({ name }) => name === policy)!
    return { policy, settings: definition.settings.parse({}) }
  })
  // The shape of the input depends on the list of policies, which zod's own types cannot follow.
  return z.union([long, byName]) as unknown as ReturnType<typeof alternativeSchema<Definitions>>
}

/** The first example of each of the first two. */
function exampleOf<Definitions extends readonly PolicyDefinition[]>(
  definitions: Definitions,
): Written<Definitions[number]>[] {
  return definitions
    .slice(0, 2)
    .map(({ name, examples }) => ({ [name]: examples[0] })) as unknown as Written<
    Definitions[number]
  >[]
}
