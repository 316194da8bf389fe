// Where the endpoints of a service come from when the configuration does not list them, and how one proves
// that it belongs to the service.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import { moduleUrl } from '../module-url.ts'
import { isHostName } from './address.ts'
import {
  fieldName,
  fieldValue,
  filePath,
  hasUnknownKeys,
  refuse,
  type SchemaContext,
} from './value.ts'

/** Which source. */
export type DiscoverDocument =
  | { readonly kind: 'srv'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'module'
      /** Its URL. */
      readonly module: string
      /** As written: the module's own schema reads them where it runs. */
      readonly settings: Readonly<Record<string, unknown>>
    }

/** `discover` of a service. */
export function discoverSchema(context: SchemaContext) {
  return z
    .strictObject({
      srv: z
        .string()
        .refine(
          (text) => isHostName(text.toLowerCase()),
          'this is not a name that can be looked up',
        )
        .optional()
        .describe(
          'Name of SRV records, like `_http._tcp.orders.internal`. Their priorities become tiers, their weights weights.',
        ),
      file: filePath(context)
        .optional()
        .describe(
          'A YAML or JSON file with a list like `endpoints`, read again whenever it changes. A version with a mistake is reported and ignored.',
        ),
      module: z
        .string()
        .min(1)
        .optional()
        .describe(
          'A module of your own that finds endpoints: `./file.ts`, relative to this file, or the name of a package.',
        ),
      settings: z
        .record(z.string(), z.unknown())
        .optional()
        .describe('What the module is given. Only beside `module`.'),
      scheme: z
        .enum(['http', 'https'])
        .prefault('http')
        .describe('How all the endpoints are spoken to; URLs that are found must begin with it.'),
    })
    .transform((written, ctx): { scheme: 'http' | 'https'; source: DiscoverDocument } => {
      const { srv, file, module, settings, scheme } = written
      const given = [srv, file, module].filter((value) => value !== undefined).length
      if (given !== 1 && !hasUnknownKeys(ctx)) {
        refuse(ctx, '`discover` has either `srv`, `file` or `module`')
      }
      if (settings !== undefined && module === undefined) {
        refuse(ctx, '`settings` are for a `module`')
      }
      if (srv !== undefined) return { scheme, source: { kind: 'srv', name: srv.toLowerCase() } }
      if (file !== undefined) return { scheme, source: { kind: 'file', path: file } }
      const url = resolved(module ?? './', context.directory, ctx)
      return { scheme, source: { kind: 'module', module: url, settings: settings ?? {} } }
    })
}

function resolved(module: string, directory: string, ctx: z.core.$RefinementCtx): string {
  try {
    return moduleUrl(module, directory)
  } catch {
    refuse(ctx, `there is no module "${module}"`, 'a relative path, or an installed package')
    return module
  }
}

const DAY_MS = 86_400_000

/** `identity` of a service. */
export const identitySchema = z
  .strictObject({
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, 'must begin with / and hold no space')
      .describe('Path that is asked for with GET.'),
    header: fieldName().describe('Header of the answer that says who answers.'),
    value: fieldValue()
      .min(1, 'a value is needed')
      .describe('What it must say, exactly, whatever the status.'),
    every: durationMs({ min: 100, max: DAY_MS })
      .prefault('10s')
      .describe('Pause between two checks of an endpoint that proved who it is.'),
    timeout: durationMs({ min: 10, max: DAY_MS })
      .prefault('2s')
      .describe('For one check, connecting included.'),
  })
  .transform(({ path, header, value, every, timeout }) => ({
    path,
    header,
    value,
    everyMs: every,
    timeoutMs: timeout,
  }))
