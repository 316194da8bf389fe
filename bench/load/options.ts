// What can be asked of `npm run bench`.
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** What a run does. */
export interface Options {
  /** Names of subjects and scenarios; of a kind that none is named of, all run. */
  readonly only: readonly string[]
  readonly rounds: number
  readonly seconds: number
  readonly threads: number
  /** Part of the results' file name. */
  readonly name: string
  /** Where results go; null: nowhere. */
  readonly out: string | null
}

export const usage = `npm run bench -- [options]

  --only a,b,...   only these programs and scenarios (names as they appear in the output)
  --rounds N       rounds of each scenario (5)
  --seconds N      length of a round (5)
  --threads N      threads or workers of each program (1)
  --quick          one round of two seconds, written nowhere unless --out says so
  --name NAME      results go to <date>-NAME.md and .json (all)
  --out FOLDER     where results go (bench/results)
`

/** Reads the command line. Throws on what it does not know. */
export function readOptions(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', default: '' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      threads: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
      name: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  return {
    only: values.only.split(',').filter((name) => name !== ''),
    rounds: positive('rounds', values.rounds ?? (values.quick ? '1' : '5')),
    seconds: positive('seconds', values.seconds ?? (values.quick ? '2' : '5')),
    threads: positive('threads', values.threads),
    name: values.name ?? 'all',
    out: values.out ?? (values.quick ? null : join(import.meta.dirname, '../results')),
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name} takes a whole number from 1`)
  return value
}
