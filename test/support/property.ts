// Options of property tests: few runs in everyday's suite, many and a chosen seed on demand.
// GATEHOUSE_SEED replays a failure (fast-check prints the seed and the path), GATEHOUSE_RUNS digs deeper.

/** Options for `fc.assert`. */
export function propertyOptions(runs: number): { numRuns: number; seed?: number } {
  const { GATEHOUSE_RUNS, GATEHOUSE_SEED } = process.env
  const numRuns = GATEHOUSE_RUNS === undefined ? runs : Number(GATEHOUSE_RUNS)
  return GATEHOUSE_SEED === undefined ? { numRuns } : { numRuns, seed: Number(GATEHOUSE_SEED) }
}
