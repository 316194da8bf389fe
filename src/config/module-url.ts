// Where a module is that a configuration names.
import { registerHooks } from 'node:module'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * The URL of a module, resolved as if a module in `directory` imported it.
 * @throws Error when it is a package that is not installed.
 */
export function moduleUrl(specifier: string, directory: string): string {
  if (specifier.startsWith('./') || specifier.startsWith('../') || isAbsolute(specifier)) {
    return pathToFileURL(resolve(directory, specifier)).href
  }
  const parentURL = pathToFileURL(join(directory, 'gatehouse.config.ts')).href
  // The only public way to resolve from somewhere else with the conditions of `import`.
  const hooks = registerHooks({
    resolve: (name, context, next) => next(name, { ...context, parentURL }),
  })
  try {
    return import.meta.resolve(specifier)
  } finally {
    hooks.deregister()
  }
}
