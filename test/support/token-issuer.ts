// An issuer of tokens for tests: keys that it publishes over HTTP, and tokens signed with them.
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { SignJWT } from 'jose'
import { type TestKey, testKey } from '../../src/policies/jwt/jwt.test-support.ts'

/** Keys, where they are, and how often it was asked. */
export class Issuer {
  keys: TestKey[]
  fetches = 0
  /** Stands in for the usual answer. */
  answer: ((response: ServerResponse) => void) | null = null
  #server: Server | null = null
  #port = 0

  private constructor(keys: TestKey[]) {
    this.keys = keys
  }

  static async start(t: TestContext, keys: readonly string[] = ['first']): Promise<Issuer> {
    const issuer = new Issuer(await Promise.all(keys.map((kid) => testKey('ES256', kid))))
    await issuer.open()
    t.after(() => issuer.close())
    return issuer
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Listens, on the port that it had before. */
  async open(): Promise<void> {
    const server = createServer((request, response) => {
      if (request.url !== '/jwks') {
        const metadata = { issuer: `${this.url}/`, jwks_uri: `${this.url}/jwks` }
        response.end(JSON.stringify(metadata))
        return
      }
      this.fetches++
      if (this.answer !== null) this.answer(response)
      else this.publish(response)
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
  }

  publish(response: ServerResponse): void {
    response.end(JSON.stringify({ keys: this.keys.map(({ jwk }) => jwk) }))
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }

  async token(key: TestKey, changes: Record<string, unknown> = {}, kid = key.kid): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    return new SignJWT({
      iss: `${this.url}/`,
      aud: 'shop',
      sub: 'ada',
      iat: now,
      exp: now + 300,
      ...changes,
    })
      .setProtectedHeader({ alg: key.alg, kid })
      .sign(key.privateKey)
  }
}
