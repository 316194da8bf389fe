// Endpoints as they are written: in a configuration, in a watched file, by a discovery module.
import { z } from 'zod'
import { ENDPOINTS_MAX } from '../../proxy/upstream/discovery/endpoint-source.ts'
import { type Address, endpointUrl } from './address.ts'
import { name } from './value.ts'

/** An endpoint with all that is said of it. */
export interface WrittenEndpoint extends Address {
  readonly weight: number
  readonly priority: number
  readonly zone: string | null
}

/** The name of a zone. */
export function zoneName() {
  return name('a zone')
}

/** A URL, or a URL with more. */
export function endpointSchema() {
  return z.union([
    endpointUrl().transform(
      (address): WrittenEndpoint => ({ ...address, weight: 1, priority: 0, zone: null }),
    ),
    z
      .strictObject({
        url: endpointUrl().describe('Scheme, host and port.'),
        weight: z
          .int()
          .min(1)
          .max(1000)
          .prefault(1)
          .describe('Share of the load beside the others.'),
        priority: z
          .int()
          .min(0)
          .max(9)
          .prefault(0)
          .describe(
            '`0` is used first; `1` and up stand by, for when too few before them can be used.',
          ),
        zone: zoneName()
          .optional()
          .describe(
            "Where it is. Endpoints in the gateway's own `zone` are preferred while enough of them can be used.",
          ),
      })
      .transform(
        ({ url, weight, priority, zone }): WrittenEndpoint => ({
          ...url,
          weight,
          priority,
          zone: zone ?? null,
        }),
      ),
  ])
}

/** A whole list of them, which may be empty: what files and modules give. */
export function endpointListSchema() {
  return z.array(endpointSchema()).max(ENDPOINTS_MAX)
}
