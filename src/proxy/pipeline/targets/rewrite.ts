// Compiles what a route changes of the target: prefixes and templates.
import { encodePathText, encodeSegment } from '../../router/path-text.ts'
import type { Exchange } from '../exchange.ts'

/** Makes text out of an exchange. */
export type TextOf = (exchange: Exchange) => string

/**
 * Replaces what stands before `/*` in the route's path. Works on the raw path, so that what follows
 * stays as it was received.
 * @param routePath the path of the route, for example '/api/users/*'.
 * @param prefix put in its place, without a slash at the end; '' strips.
 */
export function prefixRewrite(routePath: string, prefix: string): TextOf {
  const segments = routePath.replace(/\/\*$/, '').split('/').length - 1
  return (exchange) => {
    const { target, path } = exchange
    let end = 0
    for (let i = 0; i < segments; i++) {
      const next = path.indexOf('/', end + 1)
      end = next === -1 ? path.length : next
    }
    const rest = target.slice(end)
    return prefix === '' && rest.charCodeAt(0) !== 0x2f ? `/${rest}` : prefix + rest
  }
}

/** A template with the path's parameters, for example '/v2/{id}'; the received query follows. */
export function pathTemplate(template: string, routePath: string | null): TextOf {
  const text = parameterTemplate(template, routePath)
  const hasQuery = template.includes('?')
  return (exchange) => {
    const { query } = exchange
    if (query === '') return text(exchange)
    return `${text(exchange)}${hasQuery ? '&' : '?'}${query}`
  }
}

/**
 * Text with `{name}` for the path's parameters, percent-encoded. What a regular expression captured may
 * span segments and keeps its slashes; any other parameter is one segment.
 */
export function parameterTemplate(template: string, routePath: string | null): TextOf {
  const parts = template.split(/\{([^{}]+)\}/)
  if (parts.length === 1) return () => template
  const encode = routePath?.startsWith('~') === true ? encodePathText : encodeSegment
  return (exchange) => {
    let text = parts[0]!
    for (let i = 1; i < parts.length; i += 2) {
      text += encode(exchange.params?.[parts[i]!] ?? '') + parts[i + 1]!
    }
    return text
  }
}
