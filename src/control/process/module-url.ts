// Modules that are run by their place rather than imported: entries of processes and threads.

/** The URL of the module `name`, relative to `importer` (its `import.meta.url`), as source or as compiled. */
export function moduleUrl(name: string, importer: string): URL {
  const extension = importer.endsWith('.ts') ? '.ts' : '.js'
  return new URL(`${name}${extension}`, importer)
}
