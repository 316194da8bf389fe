// Whether the code that a configuration names has changed: imported modules stay in a thread for
// ever, so new code needs new threads.
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Document } from '../../config/schema.ts'

const CODE = /\.[cm]?[jt]s$/
/** Files looked at per plugin; a folder with more is judged by these. */
const FILES_MAX = 1_000

/** Whether a file is a module. */
export function isCode(file: string): boolean {
  return CODE.test(file)
}

/** The URLs of all modules that a document names: plugins, and those that find endpoints. */
export function codeModules({ plugins, services }: Document): string[] {
  const found = services.flatMap(({ discover }) =>
    discover?.kind === 'module' ? [discover.module] : [],
  )
  return [...plugins, ...new Set(found)]
}

/** The folders whose code a document's plugins run. */
export function codeFolders(plugins: readonly string[]): string[] {
  const local = plugins.filter((url) => url.startsWith('file:'))
  return [...new Set(local.map((url) => dirname(fileURLToPath(url))))]
}

/**
 * A text that differs when the list of plugins does, or when a code file in or below their folders
 * was added, removed or written.
 * `except` is the configuration itself, whose changes are judged by what it says.
 */
export async function codeFingerprint(plugins: readonly string[], except: string): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(plugins))
  for (const folder of codeFolders(plugins)) {
    for (const file of await codeFiles(folder)) {
      if (file !== except) hash.update(`${file}\n${await fileState(file)}\n`)
    }
  }
  return hash.digest('hex')
}

/** Size, time and identity of a file, as one text; empty when there is none. */
export async function fileState(file: string): Promise<string> {
  const stats = await stat(file).catch(() => null)
  return stats === null ? '' : `${stats.size} ${stats.mtimeMs} ${stats.ino}`
}

async function codeFiles(folder: string): Promise<string[]> {
  const found: string[] = []
  const folders = [folder]
  for (let next = folders.shift(); next !== undefined; next = folders.shift()) {
    const entries = await readdir(next, { withFileTypes: true }).catch(() => [])
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(next, entry.name)
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
        folders.push(path)
      else if (isCode(entry.name)) found.push(path)
      if (found.length + folders.length >= FILES_MAX) return found
    }
  }
  return found
}
