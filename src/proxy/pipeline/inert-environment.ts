// The surroundings of a policy that is made only to be looked at: nothing is shared, nobody is asked.
import { systemClock } from '../../lib/clock.ts'
import type { RemoteDocuments } from '../../state/remote-documents.ts'
import type { Store } from '../../state/store.ts'
import type { ConsumerDirectory } from './consumer.ts'
import type { FailedAttempts } from './failed-attempts.ts'
import { KeptResources } from './kept-resources.ts'
import type { PolicyEnvironment, PolicyLog, ProcessPlaces } from './policy.ts'
import { problem, reply } from './reply.ts'

const SILENT: PolicyLog = { info() {}, warn() {}, error() {}, line() {} }

/** A directory without consumers. */
export const NO_CONSUMERS: ConsumerDirectory = {
  byId: () => null,
  byToken: () => null,
  byKeyHash: () => null,
  byUsername: () => null,
  bySignatureKey: () => null,
  decoyHash: () => null,
}

/** A store that remembers nothing and refuses everything. */
export const INERT_STORE: Store = {
  take: () => ({ allowed: false, limitIndex: 0, remaining: 0, resetMs: 0, retryAfterMs: -1 }),
  increment: () => 0,
  count: () => 0,
  claim: () => false,
  spend: () => ({ allowed: false, used: 0 }),
  enter: () => false,
  leave() {},
}

/** Documents that never come. */
export const NO_DOCUMENTS: RemoteDocuments = {
  follow: () => ({ current: null, failure: null, refresh: async () => {}, stop() {} }),
}

/** There is always another one. */
const FREE_PLACES: ProcessPlaces = { enter: () => true, leave() {} }
const NO_FAILURES: FailedAttempts = { mayTry: () => true, failed() {} }

/** An environment for one policy; `dispose` gives back what it kept. */
export function inertEnvironment(
  parts: Partial<PolicyEnvironment> = {},
): PolicyEnvironment & { dispose(): void } {
  const kept = new KeptResources()
  const keys: string[] = []
  let slots = 0
  return {
    route: { id: 'route' },
    stage: { id: 'stage' },
    clock: systemClock,
    log: SILENT,
    consumers: NO_CONSUMERS,
    store: INERT_STORE,
    failedAttempts: NO_FAILURES,
    places: FREE_PLACES,
    documents: NO_DOCUMENTS,
    keep(key, make) {
      keys.push(key)
      return kept.acquire(key, make)
    },
    slot: () => slots++,
    reply,
    problem,
    ...parts,
    dispose() {
      for (const key of keys.splice(0)) kept.release(key)
    },
  }
}
