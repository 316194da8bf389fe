// Consistent hashing after Google's Maglev (NSDI 2016, section 3.4): every endpoint fills its share
// of one table in an order of its own, so that the shares are even and changes move few keys.
import { keyHash, mix } from './key-hash.ts'

/** A prime, and the same for every list: a table of another size would move all keys. */
export const MAGLEV_SIZE = 65_537

/** One endpoint as the table sees it. */
export interface MaglevMember {
  /** What its order is derived from: the same name, the same places. */
  readonly name: string
  readonly weight: number
}

/**
 * For every place the index of its member. Depends on names and weights only, not on the order of
 * the list, so that all gateways send a key the same way.
 */
export function maglevTable(members: readonly MaglevMember[]): Uint16Array {
  const order = members.map((_, index) => index)
  order.sort((a, b) => (members[a]!.name < members[b]!.name ? -1 : 1))
  const heaviest = Math.max(...members.map((member) => member.weight))
  const next = order.map((index) => keyHash(members[index]!.name) % MAGLEV_SIZE)
  const skip = order.map((index) => skipOf(members[index]!.name))
  // Everyone begins with a whole claim, so that even the lightest holds a place.
  const claim = order.map(() => 1)
  const table = new Uint16Array(MAGLEV_SIZE)
  const taken = new Uint8Array(MAGLEV_SIZE)
  let left = MAGLEV_SIZE
  while (left > 0) {
    for (let rank = 0; rank < order.length && left > 0; rank += 1) {
      const member = order[rank]!
      if (claim[rank]! >= 1) {
        let place = next[rank]!
        const step = skip[rank]!
        while (taken[place] === 1) {
          place += step
          if (place >= MAGLEV_SIZE) place -= MAGLEV_SIZE
        }
        taken[place] = 1
        table[place] = member
        next[rank] = place
        claim[rank]! -= 1
        left -= 1
      }
      claim[rank]! += members[member]!.weight / heaviest
    }
  }
  return table
}

function skipOf(name: string): number {
  return (mix(keyHash(name) ^ 0x9e3779b9) % (MAGLEV_SIZE - 1)) + 1
}
