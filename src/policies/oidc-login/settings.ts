// What a configuration says of the policy.
import { z } from 'zod'
import { durationMs } from '../../lib/units.ts'
import { consumerSetting, forwardSetting } from '../claims.ts'
import { clientAuthenticationSetting } from '../client-authentication.ts'
import { allowHttpSetting, isLoopbackUrl, outboundUrlProblem } from '../outbound-request.ts'
import { SEAL_SECRET_LENGTH_MIN } from '../sealed-value.ts'

function path(what: string) {
  return z.string().regex(/^\/([\w~.-][\w~./-]*)?$/, `expected a path like ${what}`)
}

const secret = z
  .string()
  .min(SEAL_SECRET_LENGTH_MIN, `a secret of ${SEAL_SECRET_LENGTH_MIN} characters or more is needed`)

/** Parameters of the sign-in that are the gateway's own. */
const OWN_PARAMETERS = [
  'client_id',
  'client_secret',
  'code_challenge',
  'code_challenge_method',
  'nonce',
  'redirect_uri',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
]

const shape = z.strictObject({
  issuer: z
    .string()
    .describe('The provider, to the letter of its metadata: `https://id.example/`.'),
  clientId: z.string().min(1).describe('Who the gateway is there.'),
  clientSecret: z.string().min(1).describe('Its secret: `${env:NAME}` or `${file:path}`.'),
  clientAuthentication: clientAuthenticationSetting(),
  publicUrl: z
    .string()
    .describe(
      'Where browsers find the gateway: scheme, host and port, like `https://shop.example`.',
    ),
  secret: z
    .union([secret.transform((text): string[] => [text]), z.array(secret).min(1).max(8)], {
      error: `expected a secret of ${SEAL_SECRET_LENGTH_MIN} characters or more, or a list of them`,
    })
    .describe(
      'What cookies are sealed with: 32 random characters or more, the same on all gateways. Of a ' +
        'list the first one seals, and all of them open.',
    ),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'this cannot be a scope'))
    .default(['openid'])
    .describe(
      'What to ask for; `openid` always is. Many providers refresh only with `offline_access`.',
    ),
  parameters: z
    .record(z.string(), z.string())
    .default({})
    .describe('Further parameters of the sign-in, such as `audience` or `prompt`.'),
  callbackPath: path('/callback')
    .default('/callback')
    .describe('Where the provider sends browsers back to. A route with this policy must take it.'),
  logoutPath: path('/logout').default('/logout').describe('Where a browser goes to sign out.'),
  afterLogout: path('/goodbye')
    .default('/')
    .describe('Where it goes then; the provider must know this address, too.'),
  cookie: z
    .string()
    .regex(/^[A-Za-z][\w-]{0,40}$/, 'expected a name of letters, digits, - and _')
    .default('gatehouse')
    .describe('What the names of its cookies begin with, after `__Host-`.'),
  lifetime: durationMs({ min: 60_000, max: 30 * 86_400_000 })
    .prefault('8h')
    .describe('How long a session lasts at most, however often its tokens are refreshed.'),
  loginWithin: durationMs({ min: 60_000, max: 3_600_000 })
    .prefault('10m')
    .describe('How long somebody may take to sign in.'),
  refreshBefore: durationMs({ max: 3_600_000 })
    .prefault('30s')
    .describe('How long before their end tokens are refreshed.'),
  consumer: consumerSetting().describe('Which claims of the ID token say who calls.'),
  forward: forwardSetting().describe('Headers for the service, each with the claim it gets.'),
  forwardAccessToken: z
    .boolean()
    .default(false)
    .describe('Whether the service gets the access token, as `Authorization: Bearer`.'),
  optional: z
    .boolean()
    .default(false)
    .describe('Whether a request without a session goes on, with nobody known.'),
  timeout: durationMs({ min: 1, max: 60_000 })
    .prefault('5s')
    .describe('For each answer of the provider.'),
  allowHttp: allowHttpSetting(),
})

export const settings = shape
  .superRefine((written, ctx) => {
    const refuse = (path: PropertyKey[], message: string): void =>
      ctx.addIssue({ code: 'custom', path, message })
    const { issuer, allowHttp, publicUrl, callbackPath, logoutPath, parameters } = written
    const problem = outboundUrlProblem(issuer, allowHttp)
    if (problem !== null) refuse(['issuer'], problem)
    const origin = originProblem(publicUrl)
    if (origin !== null) refuse(['publicUrl'], origin)
    if (callbackPath === logoutPath) refuse(['logoutPath'], 'this is `callbackPath` already')
    for (const name of Object.keys(parameters)) {
      if (OWN_PARAMETERS.includes(name))
        refuse(['parameters', name], 'the gateway itself sets this')
    }
  })
  .transform(({ scopes, publicUrl, ...rest }) => ({
    ...rest,
    scopes: scopes.includes('openid') ? scopes : ['openid', ...scopes],
    publicUrl: URL.parse(publicUrl)?.origin ?? publicUrl,
  }))

export type OidcLoginSettings = z.output<typeof settings>

function originProblem(text: string): string | null {
  const url = URL.parse(text)
  if (url === null || `${url.origin}/` !== url.href) {
    return 'expected scheme, host and port only, like https://shop.example'
  }
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackUrl(url))) return null
  return 'cookies with a session need https'
}
