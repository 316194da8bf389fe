// Which seeds a simulation runs with, and how its failure is replayed. SEED=7 runs that one alone,
// SEEDS=1000 the first thousand.
import { test } from 'node:test'

function seedsOf(count: number): number[] {
  const { SEED, SEEDS } = process.env
  if (SEED !== undefined) return [Number(SEED)]
  return Array.from(
    { length: SEEDS === undefined ? count : Number(SEEDS) },
    (_, index) => index + 1,
  )
}

/**
 * One test for each seed. A failure says how to see it again; a name is plain words, as it is a pattern there.
 * @param file import.meta.filename of the test.
 * @param count how many seeds everyday's suite runs.
 */
export function testSeeds(
  name: string,
  file: string,
  count: number,
  run: (seed: number) => Promise<void>,
): void {
  for (const seed of seedsOf(count)) {
    test(`${name} (seed ${seed})`, async () => {
      try {
        await run(seed)
      } catch (error) {
        const path = file.slice(file.lastIndexOf('/test/') + 1)
        const replay = `SEED=${seed} node --test --test-name-pattern="${name}" ${path}`
        const { message } = error as Error
        throw new Error(`${message}\nreplay: ${replay}`, { cause: error })
      }
    })
  }
}
