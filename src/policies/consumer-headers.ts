// Headers by which a policy tells the service which of the configured consumers calls.
import { z } from 'zod'
import type { KnownConsumer } from '../proxy/pipeline/consumer.ts'
import type { Exchange } from '../proxy/pipeline/exchange.ts'
import { fieldName, isProtectedField } from './field.ts'

const CREDENTIAL_FIELDS = ['authorization', 'cookie', 'proxy-authorization']

function identityHeader() {
  return fieldName()
    .refine((name) => !isProtectedField(name, 'request'), {
      error: 'the gateway itself writes this header; choose another',
    })
    .refine((name) => !CREDENTIAL_FIELDS.includes(name.toLowerCase()), {
      error: 'this header carries credentials; choose another',
    })
    .optional()
}

/** The setting `forward`: what the service is told, and in which headers. */
export function consumerHeadersSetting() {
  return z
    .strictObject({
      id: identityHeader().describe('Header for the id of the consumer.'),
      groups: identityHeader().describe(
        'Header for its groups, separated by commas; left out where it has none.',
      ),
    })
    .prefault({})
    .transform(({ id = null, groups = null }) => ({ id, groups }))
    .describe(
      'Headers that tell the service who calls. No client can send one of these, on any route.',
    )
}

type ConsumerHeaders = z.output<ReturnType<typeof consumerHeadersSetting>>

/** Their names, as `identityHeaders` of a policy gives them. */
export function consumerHeaderNames({ id, groups }: ConsumerHeaders): string[] {
  return [id, groups].filter((name) => name !== null)
}

/** Puts them into what the service gets. */
export function setConsumerHeaders(
  exchange: Exchange,
  { id, groups }: ConsumerHeaders,
  consumer: KnownConsumer,
): void {
  if (id !== null) exchange.setRequestHeader(id, consumer.id)
  if (groups === null) return
  if (consumer.groups.length === 0) exchange.removeRequestHeader(groups)
  else exchange.setRequestHeader(groups, consumer.groups.join(','))
}
