// How the gateway shows an authorization server who it is (RFC 6749 2.3.1), and asks it something.
import { z } from 'zod'
import type { OutboundRequest } from './outbound-request.ts'

/** The setting `clientAuthentication`. */
export function clientAuthenticationSetting() {
  return z
    .enum(['basic', 'post'])
    .default('basic')
    .describe('Where id and secret go: `basic` is the `Authorization` header, `post` the form.')
}

/** Who the gateway is there. */
export interface ClientCredentials {
  readonly clientId: string
  readonly clientSecret: string
  readonly clientAuthentication: 'basic' | 'post'
}

/** A form that is posted to one of the server's endpoints. */
export function clientRequest(
  url: string,
  form: Readonly<Record<string, string>>,
  { clientId, clientSecret, clientAuthentication }: ClientCredentials,
  isRepeatable: boolean,
): OutboundRequest {
  const body = new URLSearchParams(form)
  const headers: Record<string, string> = {
    Accept: 'application/json',
    'Content-Type': 'application/x-www-form-urlencoded',
  }
  if (clientAuthentication === 'basic') {
    const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`
    headers.Authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  } else {
    body.set('client_id', clientId)
    body.set('client_secret', clientSecret)
  }
  return { url, method: 'POST', headers, body: body.toString(), isRepeatable }
}

/** Both are form-encoded before they are joined, so that a colon in them stays one. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

/** The JSON object in an answer's body; null if it is none. */
export function jsonObject(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
