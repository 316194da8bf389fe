// Shows the service who the gateway is: a header from a secret, an OAuth2 token, or a signature of AWS.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import { equalsNormalized, FIELD_STRIDE } from '../../proxy/http/message-head.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import {
  definePolicy,
  type PolicyEnvironment,
  type PolicyHooks,
} from '../../proxy/pipeline/policy.ts'
import { clientAuthenticationSetting } from '../client-authentication.ts'
import { fieldName, isProtectedField } from '../field.ts'
import { allowHttpSetting, OutboundRequests, outboundUrlProblem } from '../outbound-request.ts'
import { RequestSigner } from './signed-request.ts'
import { TokenSupply } from './token-supply.ts'

const TOKEN_BYTES_MAX = 65_536

const text = z.string().regex(/^[\x21-\x7e]+$/, 'expected visible ASCII characters without spaces')

const header = z.strictObject({
  name: fieldName()
    .refine((name) => !isProtectedField(name, 'request'), 'the gateway itself writes this header')
    .describe('Its name.'),
  value: z
    .string()
    .regex(/^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/, 'this cannot be the value of a header')
    .describe('Its value, for example `${env:ORDERS_KEY}` or `Bearer ${file:token}`.'),
})

const oauth2 = z
  .strictObject({
    tokenUrl: z.string().describe('The token endpoint of the authorization server.'),
    clientId: z.string().min(1).describe('Who the gateway is there.'),
    clientSecret: z.string().min(1).describe('Its secret: `${env:NAME}` or `${file:path}`.'),
    clientAuthentication: clientAuthenticationSetting(),
    scope: z.string().min(1).optional().describe('The scopes to ask for, separated by spaces.'),
    audience: z
      .string()
      .min(1)
      .optional()
      .describe('What the token is for, for servers that ask for it.'),
    refreshBefore: durationMs({ min: 1_000, max: 3_600_000 })
      .prefault('30s')
      .describe('How long before its end a token is replaced; at most half its life.'),
    lifetime: durationMs({ min: 1_000, max: 86_400_000 })
      .prefault('5m')
      .describe('How long a token lives of which the server does not say it.'),
    timeout: durationMs({ min: 1, max: 60_000 })
      .prefault('5s')
      .describe('For the whole answer of the token endpoint.'),
    allowHttp: allowHttpSetting(),
  })
  .superRefine(({ tokenUrl, allowHttp }, ctx) => {
    const message = outboundUrlProblem(tokenUrl, allowHttp)
    if (message !== null) ctx.addIssue({ code: 'custom', path: ['tokenUrl'], message })
  })

const sigv4 = z
  .strictObject({
    region: text.describe('For example `eu-central-1`.'),
    service: text.describe("The service's name in signatures: `s3`, `execute-api`, `lambda`, ..."),
    accessKeyId: text.describe('Whose key signs.'),
    secretAccessKey: text.describe('The key: `${env:AWS_SECRET_ACCESS_KEY}`.'),
    sessionToken: text.optional().describe('For temporary keys.'),
    payload: z
      .enum(['signed', 'unsigned'])
      .optional()
      .describe(
        'Whether bodies are signed, and so held until they are complete. `unsigned` lets them ' +
          'stream; S3 takes that, over TLS. Default: `unsigned` for `s3`, else `signed`.',
      ),
    bodyBytes: byteSize({ min: 1, max: 67_108_864 })
      .prefault('1mb')
      .describe('The longest body that is held to be signed; a longer one gets 413.'),
    passHeaders: z
      .array(fieldName().regex(/^x-amz-/i, 'only headers that begin with x-amz- need to be listed'))
      .default([])
      .describe(
        'Headers of the client that begin with `x-amz-` and may pass. All others are removed.',
      ),
  })
  .transform(({ payload, ...rest }) => ({
    ...rest,
    payload: payload ?? (rest.service === 's3' ? ('unsigned' as const) : ('signed' as const)),
  }))

const WAYS = ['header', 'oauth2', 'sigv4'] as const

const settings = z
  .strictObject({
    header: header.optional().describe('A header whose value is a secret.'),
    oauth2: oauth2
      .optional()
      .describe('A bearer token that the gateway gets by client credentials (RFC 6749 4.4).'),
    sigv4: sigv4.optional().describe('A signature as AWS takes it (Signature Version 4).'),
  })
  .superRefine((value, ctx) => {
    if (WAYS.filter((way) => value[way] !== undefined).length === 1) return
    ctx.addIssue({
      code: 'custom',
      message: 'exactly one of `header`, `oauth2` and `sigv4` is needed',
    })
  })

export const upstreamAuth = definePolicy({
  name: 'upstream-auth',
  summary: "Shows the service the gateway's own credentials in place of the client's.",
  settings,
  offline: ({ oauth2 }: z.output<typeof settings>) => oauth2 === undefined,
  body: {
    request: {
      buffer: ({ sigv4 }) => (sigv4?.payload === 'signed' ? sigv4.bodyBytes : 0),
    },
  },
  examples: [
    { header: { name: 'x-api-key', value: 'a-secret' } },
    {
      oauth2: {
        tokenUrl: 'https://id.myshop.com/token',
        clientId: 'gateway',
        clientSecret: 'a-secret',
        scope: 'orders:read',
      },
    },
    {
      sigv4: {
        region: 'eu-central-1',
        service: 'execute-api',
        accessKeyId: 'AKIDEXAMPLE',
        secretAccessKey: 'a-secret',
      },
    },
  ],
  create({ header, oauth2, sigv4 }, environment): PolicyHooks {
    if (oauth2 !== undefined) return tokenHooks(oauth2, environment)
    if (sigv4 !== undefined) return signatureHooks(sigv4, environment)
    const { name, value } = header!
    const lowerName = name.toLowerCase().replaceAll('_', '-')
    return {
      onForward(exchange) {
        exchange.removeRequestHeader('authorization')
        removeSpellings(exchange, lowerName)
        exchange.setRequestHeader(name, value)
      },
    }
  },
})

/** What a client sent under a name that services behind CGI cannot tell from this one. */
function removeSpellings(exchange: Exchange, lowerName: string): void {
  const { raw, fields } = exchange.request
  for (let at = 0; at < fields.length; at += FIELD_STRIDE) {
    const start = fields[at]!
    const end = fields[at + 1]!
    if (end - start === lowerName.length && equalsNormalized(raw, start, lowerName)) {
      exchange.removeRequestHeader(raw.slice(start, end))
    }
  }
}

function tokenHooks(
  settings: z.output<typeof oauth2>,
  { keep, slot, problem, clock, log, stage }: PolicyEnvironment,
): PolicyHooks {
  const place = slot()
  const unavailable = problem('upstream_auth_unavailable')
  const key = createHash('sha256').update(JSON.stringify(settings)).digest('base64url')
  const supply = keep(key, () => {
    const requests = new OutboundRequests({
      timeoutMs: settings.timeout,
      bodyBytesMax: TOKEN_BYTES_MAX,
      concurrencyMax: 1,
      queueMax: 0,
      allowHttp: settings.allowHttp,
    })
    const { refreshBefore: refreshBeforeMs, lifetime: lifetimeMs } = settings
    const supplied = { ...settings, refreshBeforeMs, lifetimeMs }
    return new TokenSupply(supplied, requests, clock, (reason) =>
      log.warn({ policy: stage.id, reason }, 'no token for the service could be fetched'),
    )
  })
  const wait = supply.wait.bind(supply)
  return {
    onRequest(exchange) {
      const token = supply.current()
      if (token !== null) {
        exchange.slots[place] = token
        return
      }
      return wait().then((fetched) => {
        if (fetched === null) return unavailable
        exchange.slots[place] = fetched
      })
    },
    onForward(exchange) {
      exchange.setRequestHeader('Authorization', `Bearer ${exchange.slots[place] as string}`)
    },
    onResponse(exchange) {
      if (exchange.status === 401 && exchange.response !== null) {
        supply.refused(exchange.slots[place] as string)
      }
    },
  }
}

function signatureHooks(
  settings: z.output<typeof sigv4>,
  { clock, slot }: PolicyEnvironment,
): PolicyHooks {
  const signer = new RequestSigner(settings, clock, slot())
  return {
    onRequest: (exchange) => signer.clean(exchange),
    onForward: (exchange) => signer.sign(exchange),
    ...(settings.payload === 'signed' && {
      onRequestBody(exchange, chunk) {
        if (chunk !== null) signer.setBody(exchange, chunk)
        return chunk
      },
    }),
  }
}
