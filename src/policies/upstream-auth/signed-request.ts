// Signs the head of each attempt for AWS: the headers that count are gathered from what is sent.
import { createHash } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import { FIELD_STRIDE, FieldKind } from '../../proxy/http/message-head.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import {
  EMPTY_PAYLOAD,
  Signer,
  type SigningSettings,
  signingDate,
  UNSIGNED_PAYLOAD,
} from './sigv4.ts'

/** Who signs, and what of the client's own may stand among the signed. */
export interface RequestSigningSettings extends SigningSettings {
  readonly sessionToken?: string | undefined
  readonly payload: 'signed' | 'unsigned'
  /** `x-amz-` headers of the client that pass. */
  readonly passHeaders: readonly string[]
}

const PREFIX = 'x-amz-'

/** Signs for one stage. */
export class RequestSigner {
  readonly #settings: RequestSigningSettings
  readonly #passed: ReadonlySet<string>
  readonly #signer: Signer
  readonly #clock: Clock
  readonly #slot: number

  constructor(settings: RequestSigningSettings, clock: Clock, slot: number) {
    this.#settings = settings
    this.#passed = new Set(settings.passHeaders.map((name) => name.toLowerCase()))
    this.#signer = new Signer(settings)
    this.#clock = clock
    this.#slot = slot
  }

  /**
   * Takes out what a client says to AWS in headers: with the gateway's signature under it, it would be
   * the gateway's word (`x-amz-copy-source` reads any object that the gateway may read).
   */
  clean(exchange: Exchange): void {
    const { fields } = exchange.request
    for (let at = 0; at < fields.length; at += FIELD_STRIDE) {
      const name = nameAt(exchange, at)
      if (!name.startsWith(PREFIX) || this.#passed.has(name)) continue
      // One that an earlier policy has replaced is not the client's any more.
      if (exchange.requestEdits?.removed.includes(name) === true) continue
      exchange.removeRequestHeader(name)
    }
  }

  /** The whole body. */
  setBody(exchange: Exchange, body: Buffer): void {
    exchange.slots[this.#slot] = createHash('sha256').update(body).digest('hex')
  }

  /** Puts date, payload and signature into the head of this attempt. */
  sign(exchange: Exchange): void {
    const { sessionToken } = this.#settings
    const date = signingDate(this.#clock.wallTime())
    const payload = this.#payload(exchange)
    exchange.setRequestHeader('X-Amz-Date', date)
    exchange.setRequestHeader('X-Amz-Content-Sha256', payload)
    if (sessionToken !== undefined) exchange.setRequestHeader('X-Amz-Security-Token', sessionToken)
    const { method, forwardedTarget: target, forwardedHost } = exchange
    const headers = signedHeaders(exchange)
    headers.set('host', forwardedHost)
    const request = { method, target, headers, payload, date }
    exchange.setRequestHeader('Authorization', this.#signer.authorization(request))
  }

  #payload(exchange: Exchange): string {
    if (!exchange.requestHasBody) return EMPTY_PAYLOAD
    const known = exchange.slots[this.#slot]
    if (typeof known === 'string') return known
    if (this.#settings.payload === 'unsigned') return UNSIGNED_PAYLOAD
    throw new Error('the body is not known when its hash is needed')
  }
}

function nameAt({ request }: Exchange, at: number): string {
  return request.raw.slice(request.fields[at], request.fields[at + 1]).toLowerCase()
}

/** Content-Type and all of `x-amz-`, as they are sent. */
function signedHeaders(exchange: Exchange): Map<string, string> {
  const headers = new Map<string, string>()
  const take = (name: string): void => {
    if (headers.has(name) || !(name.startsWith(PREFIX) || name === 'content-type')) return
    const value = exchange.requestHeader(name)
    if (value === null) return
    // Several lines are signed as one, and so they are sent as one.
    if (exchange.request.count(name) > 1) exchange.setRequestHeader(name, value)
    headers.set(name, value)
  }
  const { fields } = exchange.request
  for (let at = 0; at < fields.length; at += FIELD_STRIDE) {
    if (fields[at + 4] === FieldKind.ordinary) take(nameAt(exchange, at))
  }
  const added = exchange.requestEdits?.added ?? []
  for (let at = 0; at < added.length; at += 3) take(added[at]!)
  return headers
}
