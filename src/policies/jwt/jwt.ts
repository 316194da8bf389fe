// JSON Web Tokens (RFC 7519) as credentials: who presents a valid one is known by its claims.
import { definePolicy, type PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import { tokenCredentials } from '../token-consumer.ts'
import { PUBLIC_KEY_ALGORITHMS } from './algorithms.ts'
import { ConfiguredKeys, FollowedKeys, type KeySource } from './key-source.ts'
import { allowedAlgorithms, heldKeys, type JwtSettings, nameOf, settings } from './settings.ts'
import { TokenGate } from './token-gate.ts'
import { TokenRealm } from './token-realm.ts'

/** More than any set of keys, or metadata, takes. */
const DOCUMENT_BYTES_MAX = 256 * 1024

export const jwt = definePolicy({
  name: 'jwt',
  summary: 'Lets in who presents a valid JSON Web Token, and tells the service who it is.',
  settings,
  provides: ['consumer'],
  identityHeaders: ({ forward }) => Object.keys(forward),
  credentialPlaces: ({ from }) => {
    if (from === 'authorization') return ['header:authorization']
    return 'cookie' in from ? [`cookie:${from.cookie}`] : [`header:${from.header.toLowerCase()}`]
  },
  credentials: ({ issuer, consumer }) => tokenCredentials(consumer, issuer ?? []),
  examples: [
    { issuer: 'https://id.example/', audience: 'shop' },
    {
      issuer: 'https://id.example/',
      audience: ['shop', 'shop-admin'],
      jwks: 'https://id.example/jwks.json',
      algorithms: ['RS256', 'ES256'],
      type: 'at+jwt',
      consumer: { id: 'sub', groups: '/realm_access/roles' },
      forward: { 'x-user': 'sub', 'x-mail': 'email' },
      dpop: 'optional',
      dpopNonce: { secret: 'fedcba9876543210fedcba9876543210' },
      resourceMetadata: 'https://api.example/.well-known/oauth-protected-resource',
    },
    {
      secret: '0123456789abcdef0123456789abcdef',
      unchecked: ['iss', 'aud'],
      from: { cookie: 'session' },
      optional: true,
      strip: true,
    },
  ],
  create(written, environment) {
    const keys = keysOf(written, environment)
    const name = nameOf('realm', written)
    const realm = environment.keep(name, () => new TokenRealm(written, keys, environment))
    const gate = new TokenGate(realm, environment)
    return {
      onRequest: (exchange) => gate.decide(exchange),
      ...(realm.nonces !== null && { onResponse: (exchange) => gate.renewNonce(exchange) }),
    }
  },
})

/** Kept apart from the rest, so that another audience does not mean another fetch. */
function keysOf(written: JwtSettings, environment: PolicyEnvironment): KeySource {
  const { issuer, jwks, keys, secret, allowHttp, refetchAfter, refreshEvery } = written
  const { fetchTimeout: waitMs } = written
  const algorithms = allowedAlgorithms(written)
  if (keys !== undefined || secret !== undefined) {
    return environment.keep(
      nameOf('keys', keys, secret, algorithms),
      () => new ConfiguredKeys(heldKeys(written)!),
    )
  }
  const url = jwks ?? null
  const discovered = url === null ? issuer![0]! : null
  const times = [refetchAfter, refreshEvery, waitMs]
  return environment.keep(
    nameOf('keys', url, discovered, algorithms, allowHttp, times),
    () =>
      new FollowedKeys({
        url,
        issuer: discovered,
        algorithms: algorithms.filter((name) => PUBLIC_KEY_ALGORITHMS.includes(name)),
        allowHttp,
        waitMs,
        source: {
          timeoutMs: waitMs,
          bytesMax: DOCUMENT_BYTES_MAX,
          refetchMinMs: refetchAfter,
          refetchMaxMs: refreshEvery,
        },
        documents: environment.documents,
        clock: environment.clock,
        log: environment.log,
      }),
  )
}
