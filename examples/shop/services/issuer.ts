// The shop's issuer: gives everybody a token for the user that they name, with a key made when it starts.
// A real one asks for a password first.
import { generateKeyPairSync, sign } from 'node:crypto'
import { type Answer, readText, serve } from './server.ts'

const lifeSeconds = 3600
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = { ...publicKey.export({ format: 'jwk' }), kid: 'shop', alg: 'ES256', use: 'sig' }

serve('issuer', async (request, path) => {
  const issuer = `http://127.0.0.1:${request.socket.localPort}`
  switch (`${request.method} ${path}`) {
    case 'GET /.well-known/openid-configuration':
      return { status: 200, body: { issuer, jwks_uri: `${issuer}/jwks` } }
    case 'GET /jwks':
      return { status: 200, body: { keys: [key] } }
    case 'POST /token':
      return token(issuer, new URLSearchParams(await readText(request)).get('user') ?? '')
    default:
      return undefined
  }
})

/** The token itself, as text, so that a shell can put it into a header. */
function token(issuer: string, user: string): Answer {
  if (!/^[1-3]$/.test(user)) return { status: 400, body: { error: 'say who: user=1, 2 or 3' } }
  const now = Math.floor(Date.now() / 1000)
  const header = { alg: 'ES256', typ: 'JWT', kid: 'shop' }
  const claims = { iss: issuer, aud: 'shop', sub: user, iat: now, exp: now + lifeSeconds }
  const signed = `${encode(header)}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(signed), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  })
  return { status: 200, body: `${signed}.${signature.toString('base64url')}` }
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
