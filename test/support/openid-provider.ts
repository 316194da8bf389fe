// An OpenID provider for tests: metadata, sign-in without a form, codes with PKCE, refresh tokens that
// rotate and know theft, keys, userinfo and sign-out. Strict about everything that a client must do.
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { RecordingUpstream } from './recording-upstream.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

interface Grant {
  readonly redirectUri: string
  readonly challenge: string
  readonly nonce: string | null
  readonly scope: string
}

/** Why a request is refused, in the words of RFC 6749. */
class Refusal extends Error {
  readonly status: number
  constructor(error: string, status = 400) {
    super(error)
    this.status = status
  }
}

const CLIENT_ID = 'shop'
const CLIENT_SECRET = 'client secret: with a colon'

/** A running provider with one client. What tests want to be otherwise is a field. */
export class OpenIdProvider {
  readonly clientId = CLIENT_ID
  readonly clientSecret = CLIENT_SECRET
  readonly redirectUris: string[] = []
  /** Claims of whoever signs in. */
  user: Record<string, unknown> = { sub: 'ann', email: 'ann@shop.example' }
  lifetimeS: number | null = 600
  givesRefreshTokens = true
  hasEndSession = true
  /** Last changes to the claims of an ID token. */
  editIdToken: (claims: Record<string, unknown>) => Record<string, unknown> = (claims) => claims
  /** Signs with a key that is not in the published set. */
  signsWithForeignKey = false
  /** Answers in the place of the provider, by path. */
  readonly instead = new Map<string, Listener>()
  /** How often each path was asked. */
  readonly asked = new Map<string, number>()
  readonly signedOut: URLSearchParams[] = []
  url = ''
  readonly #codes = new Map<string, Grant>()
  readonly #refreshTokens = new Map<string, { isUsed: boolean }>()
  #server!: RecordingUpstream
  #key!: CryptoKey
  #foreignKey!: CryptoKey
  #published!: JWK
  #count = 0

  static async start(): Promise<OpenIdProvider> {
    const provider = new OpenIdProvider()
    const pair = await generateKeyPair('ES256')
    provider.#key = pair.privateKey
    provider.#foreignKey = (await generateKeyPair('ES256')).privateKey
    provider.#published = {
      ...(await exportJWK(pair.publicKey)),
      kid: 'one',
      alg: 'ES256',
      use: 'sig',
    }
    provider.#server = await RecordingUpstream.startHttp((request, response) => {
      void provider.#answer(request, response)
    })
    provider.url = provider.#server.url
    return provider
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  /** Everything that clients have sent. */
  get received(): string {
    return this.#server.text
  }

  timesAsked(path: string): number {
    return this.asked.get(path) ?? 0
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url)
    this.asked.set(url.pathname, this.timesAsked(url.pathname) + 1)
    let body = ''
    for await (const data of request) body += data
    const instead = this.instead.get(url.pathname)
    if (instead !== undefined) {
      instead(request, response)
      return
    }
    try {
      await this.#route(url, request, new URLSearchParams(body), response)
    } catch (error) {
      const status = error instanceof Refusal ? error.status : 500
      json(response, { error: (error as Error).message }, status)
    }
  }

  async #route(
    url: URL,
    request: IncomingMessage,
    form: URLSearchParams,
    response: ServerResponse,
  ): Promise<void> {
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /.well-known/openid-configuration':
        return json(response, this.#metadata())
      case 'GET /jwks':
        return json(response, { keys: [this.#published] })
      case 'GET /authorize':
        return redirect(response, this.#authorize(url.searchParams))
      case 'POST /token':
        return json(response, await this.#token(request, form))
      case 'GET /userinfo':
        return json(response, this.user)
      case 'GET /end_session':
        this.signedOut.push(url.searchParams)
        return redirect(response, url.searchParams.get('post_logout_redirect_uri') ?? '/')
      default:
        throw new Refusal('not_found', 404)
    }
  }

  #metadata(): Record<string, unknown> {
    const at = (path: string): string => this.url + path
    return {
      issuer: this.url,
      authorization_endpoint: at('/authorize'),
      token_endpoint: at('/token'),
      jwks_uri: at('/jwks'),
      userinfo_endpoint: at('/userinfo'),
      ...(this.hasEndSession ? { end_session_endpoint: at('/end_session') } : {}),
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    }
  }

  /** The user agrees at once. */
  #authorize(query: URLSearchParams): string {
    const redirectUri = query.get('redirect_uri') ?? ''
    if (query.get('client_id') !== CLIENT_ID) throw new Refusal('unauthorized_client')
    if (!this.redirectUris.includes(redirectUri)) throw new Refusal('invalid_redirect_uri')
    if (query.get('response_type') !== 'code') throw new Refusal('unsupported_response_type')
    if (!query.get('scope')?.split(' ').includes('openid')) throw new Refusal('invalid_scope')
    const challenge = query.get('code_challenge') ?? ''
    if (query.get('code_challenge_method') !== 'S256' || challenge.length !== 43) {
      throw new Refusal('invalid_request')
    }
    const code = this.#random()
    const scope = query.get('scope')!
    this.#codes.set(code, { redirectUri, challenge, nonce: query.get('nonce'), scope })
    const back = new URL(redirectUri)
    back.searchParams.set('code', code)
    back.searchParams.set('state', query.get('state') ?? '')
    back.searchParams.set('iss', this.url)
    return back.href
  }

  async #token(request: IncomingMessage, form: URLSearchParams): Promise<unknown> {
    const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
    const pair = `${encode(CLIENT_ID)}:${encode(CLIENT_SECRET)}`
    const [scheme, given] = (request.headers.authorization ?? '').split(' ')
    const isClient =
      scheme === 'Basic' &&
      decodePair(given ?? '') === decodePair(Buffer.from(pair).toString('base64'))
    if (!isClient) throw new Refusal('invalid_client', 401)
    if (form.get('grant_type') === 'refresh_token') return this.#refresh(form)
    const code = form.get('code') ?? ''
    const grant = this.#codes.get(code)
    this.#codes.delete(code)
    if (grant === undefined) throw new Refusal('invalid_grant')
    const verifier = form.get('code_verifier') ?? ''
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    if (challenge !== grant.challenge) throw new Refusal('invalid_grant')
    if (form.get('redirect_uri') !== grant.redirectUri) throw new Refusal('invalid_grant')
    return this.#tokens(grant.nonce)
  }

  async #refresh(form: URLSearchParams): Promise<unknown> {
    const known = this.#refreshTokens.get(form.get('refresh_token') ?? '')
    if (known === undefined) throw new Refusal('invalid_grant')
    if (known.isUsed) {
      this.#refreshTokens.clear()
      throw new Refusal('invalid_grant')
    }
    known.isUsed = true
    return this.#tokens(null)
  }

  /** Ends every session: no refresh token is worth anything any more. */
  revokeAll(): void {
    this.#refreshTokens.clear()
  }

  async #tokens(nonce: string | null): Promise<unknown> {
    const now = Math.floor(Date.now() / 1_000)
    const claims = this.editIdToken({
      iss: this.url,
      aud: CLIENT_ID,
      iat: now,
      exp: now + 300,
      ...(nonce === null ? {} : { nonce }),
      ...this.user,
    })
    const idToken = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .sign(this.signsWithForeignKey ? this.#foreignKey : this.#key)
    const refreshToken = this.#random()
    if (this.givesRefreshTokens) this.#refreshTokens.set(refreshToken, { isUsed: false })
    this.#count++
    return {
      access_token: `access-${this.#count}`,
      token_type: 'Bearer',
      id_token: idToken,
      ...(this.lifetimeS === null ? {} : { expires_in: this.lifetimeS }),
      ...(this.givesRefreshTokens ? { refresh_token: refreshToken } : {}),
    }
  }

  #random(): string {
    return randomBytes(16).toString('base64url')
  }
}

/** Id and secret, form-decoded: clients differ in which characters they encode. */
function decodePair(base64: string): string {
  return decodeURIComponent(Buffer.from(base64, 'base64').toString().replaceAll('+', ' '))
}

function json(response: ServerResponse, document: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document))
}

function redirect(response: ServerResponse, to: string): void {
  response.writeHead(302, { location: to }).end()
}
