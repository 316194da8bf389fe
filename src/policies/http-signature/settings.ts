// The settings of `http-signature`.
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import { realmSetting } from '../challenge.ts'
import { consumerHeadersSetting } from '../consumer-headers.ts'
import { failuresSetting } from '../credential-failure.ts'
import { ALGORITHMS } from './verification-key.ts'

const component = z
  .string()
  .regex(
    /^(?:@method|@target-uri|@authority|@scheme|@request-target|@path|@query|[a-z0-9!#$%&'*+\-.^_`|~]{1,256})$/,
    'expected a header name in lower case, or one of @method, @target-uri, @authority, @scheme, ' +
      '@request-target, @path and @query',
  )

const key = z.strictObject({
  id: z.string().min(1).max(256).describe('The `keyid` by which a signature names this key.'),
  algorithm: z.enum(ALGORITHMS).describe('The one algorithm of this key.'),
  key: z
    .string()
    .min(1)
    .describe('The public key as PEM, or, for `hmac-sha256`, the shared secret as base64.'),
  consumer: z
    .string()
    .optional()
    .describe('The id of the consumer whose key it is. Default: one that has the id of the key.'),
})

export const settings = z.strictObject({
  components: z
    .array(component)
    .min(1)
    .max(32)
    .default(['@method', '@target-uri'])
    .describe(
      'What every signature must cover. `@authority` with `@path` and `@query` does for `@target-uri`.',
    ),
  scheme: z
    .enum(['http', 'https'])
    .optional()
    .describe('The scheme of the URLs that clients sign, where TLS ends in front of this gateway.'),
  digest: z
    .boolean()
    .default(true)
    .describe(
      'Whether a body needs a Content-Digest, which the signature covers and which fits it.',
    ),
  bodyMax: byteSize({ min: 1, max: 64 * 1024 * 1024 })
    .prefault('1mb')
    .describe(
      'The longest body whose digest is checked; it is held in memory. Longer ones get 413.',
    ),
  maxAge: durationMs({ min: 1_000, max: 86_400_000 })
    .prefault('5m')
    .describe('How long a signature is good after it was `created`, unless it `expires` before.'),
  tolerance: durationMs({ max: 600_000 })
    .prefault('30s')
    .describe("How far the signer's clock may be off."),
  replays: z
    .enum(['refuse', 'allow'])
    .default('refuse')
    .describe('What happens to a signature that was used before, or to one with a used nonce.'),
  label: z
    .string()
    .regex(/^[a-z*][a-z0-9_\-.*]{0,63}$/, 'expected a label as in Signature-Input, like sig1')
    .optional()
    .describe('The label of the signature that is meant, where a request may carry several.'),
  tag: z
    .string()
    .regex(/^[\x20-\x7e]{1,64}$/, 'expected up to 64 printable ASCII characters')
    .optional()
    .describe('The `tag` of the signature that is meant.'),
  keys: z
    .array(key)
    .max(1_000)
    .default([])
    .describe('Keys beside those of the consumers. A secret by reference: `${env:NAME}`.'),
  realm: realmSetting().describe('The realm of the challenge.'),
  forward: consumerHeadersSetting(),
  failures: failuresSetting(),
})

export type SignatureSettings = z.output<typeof settings>
