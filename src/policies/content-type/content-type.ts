// Takes only request bodies of the media types that a service expects.
import { z } from 'zod'
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { parseMediaType } from '../media-type.ts'
import { AllowedTypes } from './allowed-types.ts'

const TOKEN = "[!#$%&'+\\-.^_`|~0-9a-z]+"

const mediaRange = z
  .string()
  .regex(
    new RegExp(`^${TOKEN}/(?:\\*|(?:\\*\\+)?${TOKEN})$`),
    'expected a media type in lower case, like application/json, image/* or application/*+json',
  )

const settings = z.strictObject({
  allow: z
    .array(mediaRange)
    .min(1)
    .describe('The media types that may pass: `text/plain`, `image/*`, `application/*+json`.'),
  charsets: z
    .array(
      z.string().regex(/^[a-z0-9._:+-]{1,40}$/, 'expected the name of a charset in lower case'),
    )
    .min(1)
    .default(['utf-8'])
    .describe('The charsets that a type may state. A type that states none passes.'),
})

export const contentType = definePolicy({
  name: 'content-type',
  summary: 'Takes only request bodies of the media types it lists, others get 415.',
  settings,
  examples: [
    { allow: ['application/json'] },
    { allow: ['application/*+json', 'image/*', 'text/plain'], charsets: ['utf-8', 'iso-8859-1'] },
  ],
  create({ allow, charsets }, environment) {
    const types = new AllowedTypes(allow)
    // RFC 9110 15.5.16: a 415 says what would be taken instead.
    const headers = { Accept: types.accept }
    const refuse = (detail: string) =>
      environment.problem('unsupported_media_type', { detail, headers })
    const missing = refuse('The request has a body and does not say of which media type.')
    const malformed = refuse('The media type of the request body cannot be read.')
    const refused = refuse('The media type of the request body is not among those taken here.')
    const badCharset = refuse('The charset of the request body is not among those taken here.')
    return {
      onRequest(exchange) {
        if (!exchange.requestHasBody) return
        const written = exchange.requestHeader('content-type')
        if (written === null) return missing
        const type = parseMediaType(written)
        if (type === null) return malformed
        if (!types.has(type.name)) return refused
        if (type.charset !== null && !charsets.includes(type.charset)) return badCharset
      },
    }
  },
})
