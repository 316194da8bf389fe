// Signed requests (RFC 9421): who calls is known by the key that signed, and nothing that the signature
// covers was changed on the way, the body included (RFC 9530).
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { consumerHeaderNames } from '../consumer-headers.ts'
import { settings } from './settings.ts'
import { SignatureGate } from './signature-gate.ts'

export const httpSignature = definePolicy({
  name: 'http-signature',
  summary: 'Lets in who signs the request with the key of a consumer.',
  settings,
  provides: ['consumer'],
  identityHeaders: ({ forward }) => consumerHeaderNames(forward),
  credentialPlaces: () => ['header:signature-input', 'header:signature'],
  credentials: ({ keys }) => [{ kind: 'signatureKeys', isNeeded: keys.length === 0 }],
  body: { request: { buffer: ({ digest, bodyMax }) => (digest ? bodyMax : 0) } },
  examples: [
    {},
    {
      components: ['@method', '@authority', '@path', '@query', 'idempotency-key'],
      maxAge: '1m',
      tag: 'shop',
      forward: { id: 'x-consumer' },
    },
    {
      keys: [
        {
          id: 'partner',
          algorithm: 'hmac-sha256',
          key: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
        },
      ],
      digest: false,
      replays: 'allow',
    },
  ],
  create(written, environment) {
    const gate = new SignatureGate(written, environment)
    return {
      onRequest: (exchange) => gate.decide(exchange),
      ...(written.digest && { onRequestBody: (exchange, chunk) => gate.body(exchange, chunk) }),
    }
  },
})
