// A service as routes name it: by its name, or by the URL of its only endpoint.
import { z } from 'zod'
import { findingsOf } from '../issue.ts'
import { serviceSchema } from './service.ts'
import { refuse, type SchemaContext } from './value.ts'

/** A name of `services`, or a URL; what the URL stands for is in `inline`. */
export function serviceReference(context: SchemaContext) {
  const url = serviceSchema(context)
  return z
    .string()
    .transform((text, ctx): { service: string; inline: z.output<typeof url> | null } => {
      if (!text.includes('/')) return { service: text, inline: null }
      const parsed = url.safeParse(text)
      if (parsed.success) return { service: text, inline: parsed.data }
      for (const { message, expected } of parsed.error.issues.flatMap((issue) =>
        findingsOf(issue, text),
      )) {
        refuse(ctx, message, expected)
      }
      return z.NEVER
    })
}
