// What must hold in every simulated world, whatever fails in it.
import assert from 'node:assert/strict'
import type { ServiceDocument } from '../../src/config/schema.ts'
import { Blocked } from '../../src/proxy/upstream/health/shared-health.ts'
import type { Answer, SimulatedClient } from './client.ts'
import type { SimulatedGateway } from './simulated-gateway.ts'

interface Request {
  readonly isPost: boolean
  readonly slots: number[]
}

/** Bounds that no service may see exceeded, and accounts that must balance. */
export class FleetChecks {
  readonly #service: ServiceDocument
  readonly #machines: number
  /** Under way, by their numbers. */
  readonly #open = new Map<number, Request>()
  #requests = 0
  /** Attempts beside the first of each request. */
  #further = 0
  readonly #inFlight = new Map<SimulatedGateway, { count: number; limit: number }>()

  constructor(service: ServiceDocument, machines: number) {
    this.#service = service
    this.#machines = machines
  }

  /** Something was reported that must never be. */
  defect(what: string): void {
    assert.fail(what)
  }

  /** A request with a number of its own. */
  came(id: number, { isPost }: SimulatedClient): void {
    this.#requests += 1
    this.#open.set(id, { isPost, slots: [] })
  }

  /** A machine got it. */
  received(id: number, slot: number): void {
    const request = this.#open.get(id)
    assert.ok(request !== undefined, `request ${id} reached a machine after its end`)
    assert.ok(!request.isPost || request.slots.length === 0, `POST ${id} was sent twice`)
    const { sameEndpoint } = this.#service.retries
    assert.ok(sameEndpoint || !request.slots.includes(slot), `${id} went to ${slot} twice`)
    request.slots.push(slot)
  }

  ended({ attempts, id, endings }: Answer): void {
    this.#further += Math.max(0, attempts - 1)
    assert.equal(endings, 1, `request ${id} ended ${endings} times`)
    assert.ok(this.#open.delete(id), `request ${id} ended twice`)
  }

  /** To be called after every event: nobody enters beyond the limit that held before or holds now. */
  inFlight(gateway: SimulatedGateway): void {
    const { concurrency } = gateway.threads[0]!.table
    if (this.#service.concurrency === null) return
    const count = concurrency.inFlight(0)
    const limit = concurrency.limit(0)
    const before = this.#inFlight.get(gateway) ?? { count: 0, limit }
    if (count > before.count) {
      const most = Math.max(limit, before.limit)
      assert.ok(count <= most, `${count} in flight with a limit of ${most}`)
    }
    const { limit: fixed, adaptive } = this.#service.concurrency
    const bound = fixed ?? adaptive!.max
    assert.ok(count <= bound, `${count} in flight with a bound of ${bound}`)
    this.#inFlight.set(gateway, { count, limit })
  }

  /** No more endpoints are out than may be. */
  ejected(gateway: SimulatedGateway): void {
    const { health } = gateway.threads[0]!.table
    const { ejection } = this.#service
    let out = 0
    for (let slot = 0; slot < this.#machines; slot += 1) {
      if ((health.blocked(slot) & Blocked.ejected) !== 0) out += 1
    }
    const most = ejection === null ? 0 : Math.max(1, Math.floor(this.#machines * ejection.shareMax))
    assert.ok(out <= most, `${out} of ${this.#machines} are ejected, ${most} may be`)
  }

  /** All is over: nothing is left, and nobody was forgotten. */
  atRest(gateways: readonly SimulatedGateway[], open: number, seconds: number): void {
    this.#withinBudget(gateways, seconds)
    const ids = [...this.#open.keys()].slice(0, 5)
    assert.equal(open, 0, `${open} requests never ended, among them ${ids}`)
    for (const { threads } of gateways) {
      const { table } = threads[0]!
      assert.equal(table.concurrency.inFlight(0), 0, 'places were not given back')
      assert.equal(table.concurrency.waiting(0), 0, 'somebody still waits')
      for (let slot = 0; slot < this.#machines; slot += 1) {
        assert.equal(table.inFlight(slot), 0, `endpoint ${slot} still counts requests`)
      }
      for (const { wheel, snapshot } of threads) {
        assert.equal(wheel.size, 0, 'timers are left')
        assert.equal(snapshot.exchanges, 0, 'exchanges hold on to the snapshot')
      }
    }
  }

  /** Retries and hedges together stay within the budget of each gateway. */
  #withinBudget(gateways: readonly SimulatedGateway[], seconds: number): void {
    const { share, minPerSecond } = this.#service.retries.budget
    const perSecond = minPerSecond === 0 ? 0 : 1000 / Math.max(1, Math.round(1000 / minPerSecond))
    const kept = gateways.reduce(
      (total, { counts }) => total + counts.circuitRefused + counts.placesRefused,
      0,
    )
    const most = (this.#requests - kept) * share + gateways.length * perSecond * (seconds + 1)
    assert.ok(this.#further <= most, `${this.#further} further attempts, ${most} may be`)
  }
}
