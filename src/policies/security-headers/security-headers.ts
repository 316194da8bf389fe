// Header fields with which browsers protect those who visit a site.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import { FieldEdits } from '../../proxy/http/compose-head.ts'
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { fieldLine } from '../../proxy/pipeline/reply.ts'

const OFF = z.literal(false)
const DAY_MS = 86_400_000

const text = z
  .string()
  .regex(/^[\x20-\x7e]{1,4096}$/, 'expected the value of the header, in ASCII and on one line')

const hsts = z
  .strictObject({
    maxAge: durationMs()
      .prefault('365d')
      .describe('How long a browser uses nothing but https; `0s` makes it forget.'),
    includeSubdomains: z
      .boolean()
      .default(false)
      .describe('Whether that holds for every subdomain as well, those served elsewhere included.'),
    preload: z
      .boolean()
      .default(false)
      .describe('Whether browsers may ship with it; there is no quick way back.'),
  })
  .superRefine(({ maxAge, includeSubdomains, preload }, ctx) => {
    if (!preload || (includeSubdomains && maxAge >= 365 * DAY_MS)) return
    ctx.addIssue({
      code: 'custom',
      path: ['preload'],
      message:
        'the preload list takes only `includeSubdomains: true` with a `maxAge` of 365d or more',
    })
  })

const settings = z.strictObject({
  prefer: z
    .enum(['service', 'gateway'])
    .default('service')
    .describe('Whose value stands where the service sends the same header.'),
  hsts: z
    .union([OFF, hsts], { error: 'expected false, or a map like `{ maxAge: 365d }`' })
    .prefault({})
    .describe('Strict-Transport-Security, sent over https only.'),
  contentTypeOptions: z
    .union([OFF, z.literal('nosniff')])
    .default('nosniff')
    .describe('X-Content-Type-Options: no type is guessed in place of the one that is stated.'),
  frames: z
    .union([OFF, z.enum(['none', 'same-origin'])])
    .default('same-origin')
    .describe('Whose pages may show this in a frame (X-Frame-Options).'),
  contentSecurityPolicy: z
    .union([OFF, text])
    .default(false)
    .describe('Content-Security-Policy, written out. Its `frame-ancestors` goes before `frames`.'),
  referrerPolicy: z
    .union([OFF, text])
    .default('strict-origin-when-cross-origin')
    .describe('Referrer-Policy.'),
  openerPolicy: z
    .union([OFF, z.enum(['same-origin', 'same-origin-allow-popups', 'noopener-allow-popups'])])
    .default('same-origin-allow-popups')
    .describe('Cross-Origin-Opener-Policy.'),
  resourcePolicy: z
    .union([OFF, z.enum(['same-origin', 'same-site', 'cross-origin'])])
    .default('same-site')
    .describe('Cross-Origin-Resource-Policy; requests with CORS are not touched by it.'),
  permissionsPolicy: z.union([OFF, text]).default(false).describe('Permissions-Policy.'),
})

type Settings = z.output<typeof settings>

/** A header, ready to be sent. */
interface Prepared {
  readonly lowerName: string
  readonly value: string
  readonly line: string
}

export const securityHeaders = definePolicy({
  name: 'security-headers',
  summary: 'Adds the response headers with which browsers protect their users.',
  settings,
  examples: [
    {},
    {
      prefer: 'gateway',
      hsts: { maxAge: '730d', includeSubdomains: true, preload: true },
      frames: 'none',
      contentSecurityPolicy: "default-src 'none'; frame-ancestors 'none'",
      referrerPolicy: 'no-referrer',
    },
    { hsts: false, resourcePolicy: 'cross-origin', openerPolicy: false },
  ],
  create(written) {
    const fields = prepared(written)
    const transport = written.hsts === false ? null : hstsField(written.hsts)
    const wins = written.prefer === 'gateway'
    return {
      onResponse(exchange) {
        exchange.responseEdits ??= new FieldEdits()
        const edits = exchange.responseEdits
        for (let index = 0; index < fields.length; index++) {
          const { lowerName, value, line } = fields[index]!
          if (exchange.responseHeader(lowerName) !== null) {
            if (!wins) continue
            edits.remove(lowerName)
          }
          edits.add(lowerName, value, line)
        }
        if (transport === null || exchange.scheme !== 'https') return
        if (exchange.responseHeader(transport.lowerName) !== null) {
          if (!wins) return
          edits.remove(transport.lowerName)
        }
        edits.add(transport.lowerName, transport.value, transport.line)
      },
    }
  },
})

function prepared(written: Settings): Prepared[] {
  const { frames } = written
  const fields: Prepared[] = []
  const add = (name: string, value: string | false) => {
    if (value !== false) fields.push(field(name, value))
  }
  add('X-Content-Type-Options', written.contentTypeOptions)
  if (frames !== false) add('X-Frame-Options', frames === 'none' ? 'DENY' : 'SAMEORIGIN')
  add('Content-Security-Policy', written.contentSecurityPolicy)
  add('Referrer-Policy', written.referrerPolicy)
  add('Cross-Origin-Opener-Policy', written.openerPolicy)
  add('Cross-Origin-Resource-Policy', written.resourcePolicy)
  add('Permissions-Policy', written.permissionsPolicy)
  return fields
}

/** RFC 6797 6.1. */
function hstsField({ maxAge, includeSubdomains, preload }: z.output<typeof hsts>): Prepared {
  return field(
    'Strict-Transport-Security',
    `max-age=${Math.floor(maxAge / 1000)}${includeSubdomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`,
  )
}

function field(name: string, value: string): Prepared {
  return { lowerName: name.toLowerCase(), value, line: fieldLine(name, value) }
}
