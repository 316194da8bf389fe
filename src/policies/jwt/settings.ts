// What a configuration says of the policy, and what follows from it.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { byteSize, durationMs } from '../../lib/units.ts'
import { remoteUrlProblem } from '../../state/remote-url.ts'
import { realmSetting, resourceMetadataSetting } from '../challenge.ts'
import { consumerSetting, forwardSetting } from '../claims.ts'
import { failuresSetting } from '../credential-failure.ts'
import { tokenSourceSetting } from '../token-source.ts'
import { ALGORITHM_NAMES, type AlgorithmName } from './algorithms.ts'
import { configuredKeySet, type KeySet, secretKeySet } from './key-set.ts'

function oneOrMore(what: string) {
  const item = z.string().min(1, `${what} is needed`)
  return z.union([item.transform((text): string[] => [text]), z.array(item).min(1)], {
    error: `expected ${what}, or a list of them`,
  })
}

const nonceSecret = z.string().min(32, 'a secret of 32 characters or more is needed')

const shape = z.strictObject({
  issuer: oneOrMore('an issuer')
    .optional()
    .describe('Who may have issued the token (`iss`), to the letter; one or a list.'),
  audience: oneOrMore('an audience')
    .optional()
    .describe('Whom the token must be meant for (`aud`); of a list, one is enough.'),
  jwks: z
    .string()
    .optional()
    .describe(
      'URL of the JWK set with the keys. Without `jwks`, `keys` and `secret` the metadata of the issuer says where it is (OpenID Connect Discovery, RFC 8414).',
    ),
  keys: oneOrMore('PEM, a JWK or a JWK set')
    .optional()
    .describe(
      'The keys themselves, one text or a list: PEM, a JWK or a JWK set, like `${file:keys/shop.pem}`.',
    ),
  secret: z
    .string()
    .optional()
    .describe('Shared secret for HS256 (32 bytes or more), HS384 (48) and HS512 (64).'),
  algorithms: z
    .array(z.enum(ALGORITHM_NAMES))
    .min(1)
    .optional()
    .describe('The algorithms that are accepted. Default: those that the keys are made for.'),
  type: z
    .string()
    .regex(/^[\x21-\x7e]{1,100}$/, 'expected a media type like at+jwt')
    .optional()
    .describe(
      'The `typ` that a token must have. `at+jwt`: access tokens as RFC 9068 demands them. Default: `JWT`, `at+jwt` or none.',
    ),
  unchecked: z
    .array(z.enum(['exp', 'iss', 'aud']))
    .default([])
    .describe(
      'Claims that may be missing, and, of `iss` and `aud`, hold anything. An `exp` that is there counts.',
    ),
  tolerance: durationMs({ max: 300_000 })
    .prefault('5s')
    .describe('How far the clocks of issuer and gateway may differ.'),
  from: tokenSourceSetting().describe(
    'Where the token is: `authorization`, `{ cookie: NAME }` or `{ header: NAME }`.',
  ),
  strip: z.boolean().default(false).describe('Whether the token is kept from the service.'),
  consumer: consumerSetting().describe('Which claims say who calls.'),
  forward: forwardSetting().describe(
    'Headers for the service, each with the claim it gets; a name like `/address/country` reaches into one.',
  ),
  optional: z
    .boolean()
    .default(false)
    .describe(
      'Whether a request without a token goes on, with nobody known. A bad token never does.',
    ),
  dpop: z
    .enum(['off', 'optional', 'required'])
    .default('off')
    .describe('Proof that the client holds the key its token is bound to (RFC 9449).'),
  dpopNonce: z
    .strictObject({
      secret: z
        .union([
          nonceSecret.transform((text): string[] => [text]),
          z.array(nonceSecret).min(1).max(8),
        ])
        .describe(
          'What they are made with: 32 random characters or more, the same on all gateways. Of a list ' +
            'the first one makes them, and all of them are known.',
        ),
      lifetime: durationMs({ min: 10_000, max: 3_600_000 })
        .prefault('5m')
        .describe('How long one is given out; it is good for as long again.'),
    })
    .optional()
    .describe(
      'Nonces that proofs must hold, so that none can be made in advance (RFC 9449 9). A client gets ' +
        'one with its first refusal. Off if left out.',
    ),
  origin: z
    .string()
    .regex(/^https?:\/\/[^/?#@\s]+$/, 'expected an origin like https://api.example')
    .optional()
    .describe('How clients see the gateway, if not as it does itself; proofs are made for it.'),
  remember: byteSize({ max: 1024 ** 3 })
    .prefault('16mb')
    .describe('Memory per thread for tokens that were verified. `0b` verifies each every time.'),
  sizeMax: byteSize({ min: 256, max: 65_536 }).prefault('8kb').describe('The longest token.'),
  refreshEvery: durationMs({ min: 10_000, max: 86_400_000 })
    .prefault('10m')
    .describe('How often keys are fetched again; sooner if their cache time ends before.'),
  refetchAfter: durationMs({ min: 1_000, max: 3_600_000 })
    .prefault('10s')
    .describe('Least time between two fetches, whatever unknown keys are asked for.'),
  fetchTimeout: durationMs({ min: 100, max: 60_000 })
    .prefault('5s')
    .describe('How long a fetch may take, and a request wait for one; then 503.'),
  allowHttp: z
    .boolean()
    .default(false)
    .describe('Whether keys may come over plain http from elsewhere than this machine.'),
  failures: failuresSetting(),
  realm: realmSetting().describe('The realm of the challenge.'),
  resourceMetadata: resourceMetadataSetting().describe(
    'URL of the metadata of this API (RFC 9728), named in the challenge.',
  ),
})

type Shape = z.output<typeof shape>

export const settings = shape.superRefine((written, ctx) => {
  const refuse = (path: string, message: string): void =>
    ctx.addIssue({ code: 'custom', path: [path], message })
  const { issuer, audience, jwks, keys, secret, unchecked, origin, dpop, dpopNonce } = written
  if (issuer === undefined && !unchecked.includes('iss')) {
    refuse('issuer', 'say who issues the tokens, or that it does not matter: `unchecked: [iss]`')
  }
  if (audience === undefined && !unchecked.includes('aud')) {
    refuse('audience', 'say whom tokens are for, or that it does not matter: `unchecked: [aud]`')
  }
  if (issuer !== undefined && unchecked.includes('iss')) {
    refuse('unchecked', 'with an `issuer`, `iss` is checked')
  }
  if (audience !== undefined && unchecked.includes('aud')) {
    refuse('unchecked', 'with an `audience`, `aud` is checked')
  }
  const origins = [jwks, keys, secret].filter((one) => one !== undefined).length
  if (origins > 1) refuse('jwks', 'give one of `jwks`, `keys` and `secret`')
  if (origins === 0 && issuer?.length !== 1) {
    refuse('jwks', 'only one issuer can be asked for its keys; give `jwks`, `keys` or `secret`')
  }
  const url = jwks ?? (origins === 0 ? issuer?.[0] : undefined)
  const problem = url === undefined ? null : remoteUrlProblem(url, written.allowHttp)
  if (problem !== null) refuse(jwks === undefined ? 'issuer' : 'jwks', problem)
  if (origin !== undefined && dpop === 'off') refuse('origin', 'it matters only with `dpop`')
  if (dpopNonce !== undefined && dpop === 'off') {
    refuse('dpopNonce', 'it matters only with `dpop`')
  }
  const unusable = keyProblem(written)
  if (unusable !== null) refuse(secret === undefined ? 'keys' : 'secret', unusable)
})

export type JwtSettings = z.output<typeof settings>

/** The algorithms that the settings allow at all. */
export function allowedAlgorithms({ algorithms, keys, secret }: Shape): readonly AlgorithmName[] {
  const isSecret = (name: AlgorithmName): boolean => name.startsWith('HS')
  return (algorithms ?? ALGORITHM_NAMES).filter((name) =>
    keys !== undefined ? true : isSecret(name) === (secret !== undefined),
  )
}

/** The keys that the settings hold; null if they are elsewhere. @throws Error when they can't be used. */
export function heldKeys(written: Shape): KeySet | null {
  const { keys, secret } = written
  const allowed = allowedAlgorithms(written)
  if (keys !== undefined) return configuredKeySet(keys, allowed)
  if (secret === undefined) return null
  try {
    return secretKeySet(secret, allowed)
  } catch {
    throw new Error('HS256 needs a secret of 32 bytes or more, HS384 of 48, HS512 of 64')
  }
}

function keyProblem(written: Shape): string | null {
  if (allowedAlgorithms(written).length === 0) {
    return 'none of the `algorithms` fits these keys'
  }
  try {
    heldKeys(written)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/** A name for these values under which something may be kept, telling none of them. */
export function nameOf(kind: string, ...values: readonly unknown[]): string {
  return `${kind} ${createHash('sha256').update(JSON.stringify(values)).digest('base64url')}`
}
