// Mirroring: a second service gets copies of a route's requests, and its answers are compared or let go.
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import { serviceReference } from './service-reference.ts'
import { fieldName, refuse, type SchemaContext } from './value.ts'

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']

const jsonSchema = z
  .strictObject({
    ignore: z
      .array(
        z
          .string()
          .regex(/^(?:\/(?:[^~/]|~[01])*)+$/, {
            error: 'this is not a JSON Pointer to a member',
            params: {
              expected: 'a path like /updatedAt or /items/*/id, with ~1 for / and ~0 for ~',
            },
          } as z.core.$ZodCheckRegexParams)
          .max(512),
      )
      .max(100)
      .prefault([])
      .describe(
        'What may differ, as JSON Pointers (RFC 6901); `*` stands for any one member or index.',
      ),
  })
  .describe('Compares the bodies as JSON; `{}` compares all of them. Absent: not compared.')

const compareSchema = z
  .strictObject({
    status: z.boolean().prefault(true).describe('Whether the statuses must be equal.'),
    headers: z
      .array(fieldName())
      .max(32)
      .prefault([])
      .describe('Names of headers that must be equal. None by default: dates and ids differ.'),
    json: jsonSchema.optional(),
    bodyBytesMax: byteSize({ min: 1, max: 1024 ** 2 })
      .prefault('256kb')
      .describe(
        'Largest body that is held to be compared, also once it is decompressed. One above it is not compared.',
      ),
  })
  .transform(({ status, headers, json, bodyBytesMax }, ctx) => {
    if (!status && headers.length === 0 && json === undefined) {
      refuse(ctx, 'this compares nothing', '`status: true`, `headers` or `json`')
    }
    return { status, headers, json: json ?? null, bodyBytesMax }
  })

/** `mirror` of a route. */
export function mirrorSchema(context: SchemaContext) {
  return z
    .strictObject({
      to: serviceReference(context).describe(
        'Who gets the copies: the name of a service, or the URL of one.',
      ),
      share: z
        .number()
        .min(0)
        .max(1)
        .prefault(1)
        .describe('Part of the requests that is copied, drawn for each: `0.1` is a tenth.'),
      methods: z
        .array(z.string().regex(/^[A-Z]{1,20}$/, 'a method is written in upper case'))
        .min(1, 'at least one method is needed')
        .prefault(SAFE_METHODS)
        .describe(
          'Methods of requests that are copied. What others do is done twice if both services share a database.',
        ),
      bodyBytesMax: byteSize({ max: 16 * 1024 ** 2 })
        .prefault('1mb')
        .describe('Largest request body that is copied; a request with a longer one is not.'),
      timeout: durationMs({ min: 1, max: 600_000 })
        .prefault('30s')
        .describe(
          'How long a copy may take altogether, the wait for a connection and the comparison included.',
        ),
      inFlightMax: z
        .int()
        .min(1)
        .max(10_000)
        .prefault(64)
        .describe(
          "Most copies of this route's requests that one thread has on their way. One more is not sent.",
        ),
      compare: compareSchema
        .optional()
        .describe('What of both answers must be equal. Absent: the answers are let go unseen.'),
    })
    .transform(({ to, timeout, compare, ...rest }) => ({
      ...to,
      ...rest,
      timeoutMs: timeout,
      compare: compare ?? null,
    }))
}
