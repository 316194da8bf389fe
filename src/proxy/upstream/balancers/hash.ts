// Consistent hashing: the same key goes to the same endpoint, on every thread and every gateway.
import type { Endpoint } from '../endpoint.ts'
import type { BalancedRequest, Picker, PickerContext, PickerFactory } from './balancer.ts'
import { isCandidate } from './candidate.ts'
import { keyHash, mix } from './key-hash.ts'
import { MAGLEV_SIZE, maglevTable } from './maglev-table.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** What of a request is its key. */
export type HashKey =
  | { readonly by: 'header' | 'cookie'; readonly name: string }
  | { readonly by: 'client-ip' | 'path' }

/** Makes pickers that choose by a key of the request. */
export function hash(key: HashKey): PickerFactory {
  const keyOf = keyReader(key)
  return (endpoints, context) => new HashPicker(endpoints, context, keyOf)
}

type KeyReader = (request: BalancedRequest) => string | null

function keyReader(key: HashKey): KeyReader {
  switch (key.by) {
    case 'header': {
      const name = key.name.toLowerCase()
      return (request) => request.requestHeader(name)
    }
    case 'cookie':
      return (request) => request.cookie(key.name)
    case 'client-ip':
      return (request) => request.clientIp
    case 'path':
      return (request) => request.path
  }
}

// Keys of an endpoint that may not be picked go on to further places of the same table: each key to
// its own, so they spread over all others, and no other key moves.
const PROBES_MAX = 16
const GOLDEN_RATIO = 0x9e3779b9

class HashPicker implements Picker {
  readonly #endpoints: readonly Endpoint[]
  readonly #keyOf: KeyReader
  readonly #table: Uint16Array
  readonly #lottery: WeightedDraw

  constructor(endpoints: readonly Endpoint[], context: PickerContext, keyOf: KeyReader) {
    this.#endpoints = endpoints
    this.#keyOf = keyOf
    this.#lottery = new WeightedDraw(endpoints, context)
    this.#table = maglevTable(
      // The key, not the address: all addresses of one name are written alike.
      endpoints.map((endpoint) => ({ name: endpoint.key, weight: endpoint.weight })),
    )
  }

  pick(request: BalancedRequest, tried: readonly Endpoint[]): Endpoint | null {
    const key = this.#keyOf(request)
    // Without a key nothing ties the request to an endpoint: it goes anywhere, by weight.
    if (key === null || key === '') return this.#lottery.draw(tried, null)
    const start = keyHash(key)
    for (let probe = 0, point = start; probe < PROBES_MAX; probe += 1) {
      const endpoint = this.#endpoints[this.#table[point % MAGLEV_SIZE]!]!
      if (isCandidate(endpoint, tried)) return endpoint
      point = mix(point + GOLDEN_RATIO)
    }
    return this.#next(start, tried)
  }

  /** Nearly all are out: walks the list from a place that the key decides. */
  #next(start: number, tried: readonly Endpoint[]): Endpoint | null {
    const endpoints = this.#endpoints
    for (let step = 0; step < endpoints.length; step += 1) {
      const endpoint = endpoints[(start + step) % endpoints.length]!
      if (isCandidate(endpoint, tried)) return endpoint
    }
    return null
  }
}
