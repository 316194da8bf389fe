// Lets only those addresses pass that a list allows and no list denies.
import { z } from 'zod'
import { isIpOrCidr } from '../../lib/ip-prefix-tree.ts'
import { definePolicy, type PolicyEnvironment } from '../../proxy/pipeline/policy.ts'
import { WatchedFile } from '../watched-file.ts'
import { AddressSet } from './address-set.ts'

const FILE_BYTES_MAX = 8 * 1024 * 1024

const network = z.string().refine(isIpOrCidr, {
  error: 'expected an address or a network like 203.0.113.0/24 or 2001:db8::/32',
})

const file = z.strictObject({
  file: z
    .string()
    .min(1, 'a file name is needed')
    .describe(
      'A text file with one address or network a line; read again when it changes. A relative name ' +
        'starts at the directory of the configuration.',
    ),
})

const networks = z.union([z.array(network).min(1), file], {
  error: 'expected a list of addresses or networks, or `{ file: denied.txt }`',
})

const settings = z
  .strictObject({
    allow: networks
      .optional()
      .describe('Who may pass: a list, or `{ file: allowed.txt }`. Left out: everyone not denied.'),
    deny: networks
      .optional()
      .describe('Who may not, whatever `allow` says: a list, or `{ file: denied.txt }`.'),
  })
  .superRefine(({ allow, deny }, ctx) => {
    if (allow === undefined && deny === undefined) {
      ctx.addIssue({
        code: 'custom',
        message: 'say who may pass (`allow`) or who may not (`deny`)',
      })
    }
  })

export const ipFilter = definePolicy({
  name: 'ip-filter',
  summary: 'Lets requests pass or refuses them by the address of the client.',
  settings,
  examples: [
    { allow: ['10.0.0.0/8', '2001:db8::/32'] },
    { deny: ['203.0.113.7'] },
    { allow: ['192.0.2.0/24'], deny: ['192.0.2.13'] },
  ],
  resolveFiles: ({ allow, deny }, resolve) => ({
    ...(allow !== undefined && { allow: placed(allow, resolve) }),
    ...(deny !== undefined && { deny: placed(deny, resolve) }),
  }),
  create({ allow, deny }, environment) {
    const allowed = listOf(allow, environment)
    const denied = listOf(deny, environment)
    const refusal = environment.problem('address_refused')
    return {
      onRequest({ clientIp }) {
        if (denied !== null && denied.current.holds(clientIp) !== false) return refusal
        if (allowed !== null && allowed.current.holds(clientIp) !== true) return refusal
      },
    }
  },
})

type Networks = z.output<typeof networks>

function placed(written: Networks, resolve: (name: string) => string): Networks {
  return Array.isArray(written) ? written : { file: resolve(written.file) }
}

function listOf(
  written: Networks | undefined,
  environment: PolicyEnvironment,
): { current: AddressSet } | null {
  if (written === undefined) return null
  if (Array.isArray(written)) return { current: new AddressSet(written) }
  const { log } = environment
  const path = written.file
  return environment.keep(
    path,
    () => new WatchedFile({ path, bytesMax: FILE_BYTES_MAX, parse: AddressSet.parse, log }),
  )
}
