// Which configuration a command works on.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Loaded } from '../../config/load.ts'
import type { Document } from '../../config/schema.ts'
import { UsageError } from './command.ts'
import { printProblems } from './problem-report.ts'
import type { Terminal } from './terminal.ts'

/** Looked for in this order. */
export const DEFAULT_FILES = [
  'gatehouse.yaml',
  'gatehouse.yml',
  'gatehouse.json',
  'gatehouse.config.ts',
]

/** The file that was named, or the first default one. @throws UsageError when there is none */
export function configurationFile(named: string | undefined, cwd: string): string {
  if (named !== undefined) {
    const file = resolve(cwd, named)
    if (!existsSync(file)) throw new UsageError(`there is no file ${file}`)
    return file
  }
  const found = DEFAULT_FILES.map((name) => resolve(cwd, name)).find((file) => existsSync(file))
  if (found !== undefined) return found
  throw new UsageError(
    `there is no configuration in ${cwd}: name a file, or write one with \`gatehouse init\` (looked for ${DEFAULT_FILES.join(', ')})`,
  )
}

/** Loads a configuration. */
export async function load(file: string): Promise<Loaded> {
  // Only now: neither help nor the process that holds a gateway's sockets needs this code.
  const { loadForPeople } = await import('../../config/load.ts')
  return loadForPeople(file)
}

/** Loads a configuration; prints its errors and returns null when it has any. */
export async function loadOrReport(
  file: string,
  terminal: Terminal,
): Promise<(Loaded & { readonly document: Document }) | null> {
  const loaded = await load(file)
  const { document, problems } = loaded.result
  if (document !== null) return { ...loaded, document }
  printProblems(problems, loaded.lines, terminal.cwd, terminal.errPaint, terminal.err)
  return null
}
