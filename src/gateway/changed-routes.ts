// What one configuration changed for exchanges that began on the one before it.
import { isDeepStrictEqual } from 'node:util'
import type { Document, ServiceDocument } from '../config/schema.ts'
import { hostPort } from '../lib/host-port.ts'
import type { LongLived } from '../proxy/pipeline/exchange-context.ts'

/** Compares two documents, but only where it is asked. */
export class ChangedRoutes {
  readonly #before: Document
  readonly #after: Document
  readonly #hasOtherUse: boolean
  readonly #routes = new Map<string, boolean>()
  readonly #services = new Map<string, boolean>()

  constructor(before: Document, after: Document) {
    this.#before = before
    this.#after = after
    this.#hasOtherUse = !isDeepStrictEqual(before.use, after.use)
  }

  /** Whether the route, the service or the endpoint of an exchange is gone or another one now. */
  concern({ route, service, endpoint }: LongLived): boolean {
    if (this.#hasOtherUse || this.#concernRoute(route?.id ?? '')) return true
    if (service === null) return false
    return this.#concernService(service) || !this.#hasEndpoint(service, endpoint)
  }

  #concernRoute(id: string): boolean {
    return remembered(this.#routes, id, () => {
      const isIt = (route: { readonly id: string }): boolean => route.id === id
      return !isDeepStrictEqual(this.#before.routes.find(isIt), this.#after.routes.find(isIt))
    })
  }

  /** Endpoints come and go: only the one that is used matters. */
  #concernService(name: string): boolean {
    return remembered(this.#services, name, () => {
      const settings = (document: Document) => ({ ...named(document, name), endpoints: null })
      return !isDeepStrictEqual(settings(this.#before), settings(this.#after))
    })
  }

  #hasEndpoint(service: string, address: string | null): boolean {
    const { discover, endpoints } = named(this.#after, service)!
    // What discovery no longer finds is no change of the configuration.
    if (discover !== null) return true
    return endpoints.some(({ host, port }) => hostPort(host, port) === address)
  }
}

function named(document: Document, name: string): ServiceDocument | undefined {
  return document.services.find((service) => service.name === name)
}

function remembered(known: Map<string, boolean>, key: string, find: () => boolean): boolean {
  const found = known.get(key) ?? find()
  known.set(key, found)
  return found
}
