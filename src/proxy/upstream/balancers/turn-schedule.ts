// The order in which endpoints take turns, computed once: smooth weighted round robin.

// Bounds the work and the memory of a schedule; past it weights are rounded, never below one turn.
const STEPS_MAX = 500_000
const TURNS_MAX = 65_536
const TURNS_PER_ENDPOINT_MIN = 4

/** Endpoints of the same weight: they take the turns of their group in rotation. */
interface Group {
  /** Turns of each member per cycle. */
  share: number
  readonly members: number[]
  /** Turns it is owed, in units of 1 / cycle. */
  credit: number
  taken: number
}

/**
 * One cycle of turns: the index whose turn it is, each as often as its weight says and as evenly
 * spread as can be. With equal weights the cycle is 0, 1, ... n-1.
 */
export function turnSchedule(weights: readonly number[]): Uint16Array {
  const groups = groupsOf(weights)
  const total = groups.reduce((sum, group) => sum + group.share * group.members.length, 0)
  const schedule = new Uint16Array(total)
  for (let turn = 0; turn < total; turn += 1) {
    let best = groups[0]!
    for (const group of groups) {
      group.credit += group.share * group.members.length
      if (group.credit > best.credit) best = group
    }
    best.credit -= total
    schedule[turn] = best.members[best.taken % best.members.length]!
    best.taken += 1
  }
  return schedule
}

function groupsOf(weights: readonly number[]): Group[] {
  const byWeight = new Map<number, Group>()
  wholeNumbers(weights).forEach((share, index) => {
    const group = byWeight.get(share)
    if (group === undefined) byWeight.set(share, { share, members: [index], credit: 0, taken: 0 })
    else group.members.push(index)
  })
  const groups = [...byWeight.values()]
  const divisor = groups.map((group) => group.share).reduce(greatestCommonDivisor)
  for (const group of groups) group.share /= divisor
  const total = groups.reduce((sum, group) => sum + group.share * group.members.length, 0)
  const turnsMax = Math.max(
    weights.length * TURNS_PER_ENDPOINT_MIN,
    Math.min(TURNS_MAX, Math.floor(STEPS_MAX / groups.length)),
  )
  if (total > turnsMax) {
    for (const group of groups) {
      group.share = Math.max(1, Math.floor((group.share * turnsMax) / total))
    }
  }
  return groups
}

// Weights like 0.5 and 1.5: a thousandth of the smallest is fine enough.
function wholeNumbers(weights: readonly number[]): readonly number[] {
  if (weights.every(Number.isSafeInteger)) return weights
  const smallest = Math.min(...weights)
  return weights.map((weight) => Math.round((weight / smallest) * 1000))
}

function greatestCommonDivisor(a: number, b: number): number {
  let [larger, smaller] = [a, b]
  while (smaller !== 0) [larger, smaller] = [smaller, larger % smaller]
  return larger
}
