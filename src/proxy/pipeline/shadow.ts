// Runs a hook of a policy in shadow mode: it may look at everything and change nothing.
import { FieldEdits } from '../http/compose-head.ts'
import type { Exchange } from './exchange.ts'

/** Edits that can be changed without the originals noticing. */
export function copyOf(edits: FieldEdits | null): FieldEdits | null {
  if (edits === null) return null
  const copy = new FieldEdits()
  copy.removed.push(...edits.removed)
  copy.added.push(...edits.added)
  return copy
}

/** Calls the hook and takes back whatever it did to the exchange, when it has ended. */
export function runShadowed<Result>(
  exchange: Exchange,
  hook: (exchange: Exchange) => Result,
): Result {
  const { consumer, authentication, requestId, target } = exchange
  const requestEdits = copyOf(exchange.requestEdits)
  const responseEdits = copyOf(exchange.responseEdits)
  const restore = (): void => {
    exchange.consumer = consumer
    exchange.authentication = authentication
    exchange.requestId = requestId
    exchange.target = target
    exchange.requestEdits = requestEdits
    exchange.responseEdits = responseEdits
  }
  let waits = false
  try {
    const result = hook(exchange)
    if (!(result instanceof Promise)) return result
    waits = true
    return result.finally(restore) as Result
  } finally {
    if (!waits) restore()
  }
}
