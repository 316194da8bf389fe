// The target that sends requests to a service, or splits them over several.
import type { Service } from '../../upstream/service.ts'
import type { AttemptTerms } from '../attempt-bounds.ts'
import { Attempts } from '../attempts.ts'
import type { Rewrite } from '../request-head.ts'
import type { ExchangeRun, Target } from '../run.ts'
import type { SplitStickiness } from './stickiness.ts'

/** One side of a split. */
export interface Share {
  readonly name: string
  readonly service: Service
  readonly weight: number
  readonly terms: AttemptTerms
}

/** Sends to the one service, or to one of several by weight. */
export class ForwardTarget implements Target {
  readonly #shares: readonly Share[]
  readonly #rewrite: Rewrite
  readonly #stickiness: SplitStickiness | null
  readonly #weight: number

  constructor(shares: readonly Share[], rewrite: Rewrite, stickiness: SplitStickiness | null) {
    this.#shares = shares
    this.#rewrite = rewrite
    this.#stickiness = stickiness
    this.#weight = shares.reduce((sum, share) => sum + share.weight, 0)
  }

  handle(run: ExchangeRun): void {
    const share = this.#shares.length === 1 ? this.#shares[0]! : this.#pick(run)
    run.service = share.name
    new Attempts(run, share.service, this.#rewrite, share.terms).start()
  }

  #pick(run: ExchangeRun): Share {
    const fraction = this.#stickiness === null ? Math.random() : this.#stickiness.fraction(run)
    let left = fraction * this.#weight
    for (let i = 0; i < this.#shares.length; i++) {
      const share = this.#shares[i]!
      left -= share.weight
      if (left < 0) return share
    }
    return this.#shares[this.#shares.length - 1]!
  }
}
