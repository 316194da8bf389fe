// Asks an external service whether a request may pass, and does as it says.
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { definePolicy, type PolicyHooks, type Verdict } from '../../proxy/pipeline/policy.ts'
import type { Reply } from '../../proxy/pipeline/reply.ts'
import { fieldName, isProtectedField } from '../field.ts'
import { allowHttpSetting, OutboundRequests, outboundUrlProblem } from '../outbound-request.ts'
import { AuthorizationCall, NoDecision } from './authorization-call.ts'
import { DecisionCache } from './decision-cache.ts'
import { Grants } from './grant.ts'

/** Fields whose meaning would be lost on the way: the body arrives here decompressed, and is framed anew. */
const NOT_PASSED = ['content-encoding', 'content-length', 'transfer-encoding']

function names(side: 'request' | 'response') {
  return z
    .array(
      fieldName().refine(
        (name) => !isProtectedField(name, side) && !NOT_PASSED.includes(name.toLowerCase()),
        'the gateway itself writes this header',
      ),
    )
    .max(64)
}

/** Headers that clients must be able to send although an answer may replace them. */
const CREDENTIALS = new Set(['authorization', 'cookie', 'proxy-authorization'])

const cache = z.strictObject({
  for: durationMs({ min: 1, max: 300_000 })
    .prefault('5s')
    .describe('How long a pass is remembered. A withdrawn permission works on for as long.'),
  by: names('request')
    .min(1)
    .optional()
    .describe('Request headers that tell callers apart. All of `requestHeaders` if left out.'),
  anyTarget: z
    .boolean()
    .default(false)
    .describe(
      'One decision serves all methods, hosts, paths and queries. Only if none depends on them.',
    ),
  entries: z
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe('Decisions remembered at a time, per thread; the oldest goes first.'),
})

const settings = z
  .strictObject({
    url: z.string().describe('Where to ask, with `GET`. Nothing of the request is added to it.'),
    requestHeaders: names('request')
      .default(['authorization', 'cookie'])
      .describe(
        'Headers of the request that the service is sent, beside `X-Forwarded-Method`, `-Uri`, ' +
          '`-Host`, `-Proto` and `-For`.',
      ),
    identityHeaders: names('request')
      .default([])
      .describe(
        'Headers of a passing answer that are set on the request. Clients can send none of them, ' +
          'except `Authorization` and `Cookie`, which are replaced or removed.',
      ),
    consumerFrom: fieldName()
      .optional()
      .describe('The header of a passing answer that names the consumer; it must be there then.'),
    groupsFrom: fieldName()
      .optional()
      .describe("The header of a passing answer with the consumer's groups, separated by commas."),
    known: z
      .enum(['refuse', 'accept'])
      .default('refuse')
      .describe(
        'What becomes of an answer whose consumer has the name of one in the configuration: 403, or, ' +
          'with `accept`, its groups and limits. Only if nobody can choose that name there.',
      ),
    denialHeaders: names('response')
      .default(['location', 'www-authenticate', 'set-cookie', 'content-type', 'cache-control'])
      .describe(
        'Headers of a denial (401, 403 or a redirect) that the client gets, with its body.',
      ),
    cache: cache.optional().describe('Remembers passes for a short time. Off if left out.'),
    timeout: durationMs({ min: 1, max: 60_000 })
      .prefault('2s')
      .describe('For the whole answer of the service, waiting for a free call included.'),
    bodyBytes: byteSize({ max: 1_048_576 })
      .prefault('64kb')
      .describe('The longest body of an answer. A longer one is no decision.'),
    concurrency: z
      .int()
      .min(1)
      .max(10_000)
      .default(64)
      .describe('Calls at a time, per thread; four times as many requests may wait for one.'),
    allowHttp: allowHttpSetting(),
  })
  .superRefine(({ url, allowHttp, groupsFrom, consumerFrom }, ctx) => {
    const problem = outboundUrlProblem(url, allowHttp)
    if (problem !== null) ctx.addIssue({ code: 'custom', path: ['url'], message: problem })
    if (groupsFrom !== undefined && consumerFrom === undefined) {
      const message = 'groups belong to a consumer; `consumerFrom` is needed too'
      ctx.addIssue({ code: 'custom', path: ['groupsFrom'], message })
    }
  })

export type ForwardAuthSettings = z.output<typeof settings>

export const forwardAuth = definePolicy({
  name: 'forward-auth',
  summary: 'Lets an external service decide whether a request may pass.',
  settings,
  offline: false,
  provides: ['consumer'],
  identityHeaders: ({ identityHeaders }) =>
    identityHeaders.filter((name) => !CREDENTIALS.has(name.toLowerCase())),
  credentialPlaces: ({ requestHeaders }) =>
    requestHeaders.map((name) => `header:${name.toLowerCase()}`),
  examples: [
    { url: 'https://auth.myshop.com/verify' },
    {
      url: 'http://127.0.0.1:9091/api/verify',
      requestHeaders: ['authorization', 'cookie', 'accept'],
      identityHeaders: ['x-user', 'x-groups'],
      consumerFrom: 'x-user',
      groupsFrom: 'x-groups',
      cache: { for: '2s' },
      timeout: '500ms',
    },
  ],
  create(settings, environment): PolicyHooks {
    const { clock, log, stage } = environment
    const unavailable = environment.problem('authorization_unavailable')
    const requests = new OutboundRequests({
      timeoutMs: settings.timeout,
      bodyBytesMax: settings.bodyBytes,
      concurrencyMax: settings.concurrency,
      queueMax: settings.concurrency * 4,
      allowHttp: settings.allowHttp,
    })
    const call = new AuthorizationCall(settings, requests, environment.reply)
    const grants = new Grants(settings, environment)
    const remembered =
      settings.cache === undefined
        ? null
        : new DecisionCache({ ...settings.cache, by: settings.cache.by ?? settings.requestHeaders })

    const ask = async (exchange: Exchange, key: string): Promise<void | Reply> => {
      try {
        const answer = await call.decide(exchange)
        if (answer.denial !== null) return answer.denial
        const grant = grants.read(answer.headers)
        remembered?.set(key, grant, clock.now())
        return grants.apply(exchange, grant)
      } catch (error) {
        if (!(error instanceof NoDecision)) throw error
        log.warn(
          { policy: stage.id, reason: error.message },
          'the authorization service gave no decision',
        )
        return unavailable
      }
    }
    return {
      onRequest(exchange): Verdict {
        if (remembered === null) return ask(exchange, '')
        const key = remembered.keyOf(exchange)
        const grant = remembered.get(key, clock.now())
        return grant === null ? ask(exchange, key) : grants.apply(exchange, grant)
      },
      dispose: () => requests.dispose(),
    }
  },
})
