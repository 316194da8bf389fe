// Checks of routes: their targets exist, their templates have values, and precedence separates them.
import { closest } from '../../lib/closest.ts'
import { findOverlaps, findUnreachable } from '../../proxy/router/overlaps.ts'
import { type PathPattern, parsePathPattern } from '../../proxy/router/path-pattern.ts'
import { type DataPath, errorAt, type Finding, warningAt } from '../problem.ts'
import type { ForwardDocument, RouteDocument } from '../schema.ts'
import type { CheckInput } from './input.ts'

const PARAMETER = /\{([^{}]*)\}/g

/** All checks of routes. */
export function checkRoutes(input: CheckInput): Finding[] {
  const findings: Finding[] = []
  for (const [index, route] of input.document.routes.entries()) {
    const { target } = route
    if (target.kind === 'forward') checkServices(input, index, target, findings)
    if (input.isDamaged(index)) continue
    const pattern = parsePathPattern(route.match.path)
    if (target.kind === 'forward') checkRewrite(input, index, target, pattern, findings)
    else if (target.kind === 'redirect') {
      checkTemplate(input, index, ['redirect', 'to'], target.to, pattern, findings)
    }
  }
  checkIds(input, findings)
  checkPrecedence(input, findings)
  return findings
}

function checkServices(
  input: CheckInput,
  index: number,
  { services, mirror }: ForwardDocument,
  findings: Finding[],
): void {
  for (const [place, { service }] of services.entries()) {
    const path = input.routePath(index, 'to', place, 'service')
    checkService(input, path.length > 2 ? path : input.routePath(index, 'to'), service, findings)
  }
  if (mirror === null) return
  const path = input.routePath(index, 'mirror', 'to')
  checkService(input, path, mirror.service, findings)
  if (services.length === 1 && services[0]!.service === mirror.service) {
    findings.push(
      warningAt(
        path,
        `"${mirror.service}" gets every copied request twice: the route leads there`,
        {
          expected: 'another service',
        },
      ),
    )
  }
}

function checkService(
  input: CheckInput,
  path: DataPath,
  service: string,
  findings: Finding[],
): void {
  const known = input.keys(['services'])
  if (known.includes(service) || input.document.services.some(({ name }) => name === service))
    return
  const suggestion = closest(service, known)
  findings.push(
    errorAt(path, `there is no service named "${service}"`, {
      expected:
        known.length === 0
          ? 'an entry of `services`, or a URL'
          : `one of ${known.join(', ')}, or a URL`,
      ...(suggestion === null ? {} : { suggestion }),
    }),
  )
}

function checkRewrite(
  input: CheckInput,
  index: number,
  { rewrite }: ForwardDocument,
  pattern: PathPattern,
  findings: Finding[],
): void {
  if (rewrite?.path != null)
    checkTemplate(input, index, ['rewrite', 'path'], rewrite.path, pattern, findings)
  if (rewrite?.prefix != null) checkPrefix(input, index, pattern, findings)
}

function checkPrefix(
  input: CheckInput,
  index: number,
  pattern: PathPattern,
  findings: Finding[],
): void {
  const strip = input.routePath(index, 'rewrite', 'stripPrefix')
  const key = strip.at(-1) === 'stripPrefix' ? 'stripPrefix' : 'prefix'
  const path = input.routePath(index, 'rewrite', key)
  if (pattern.text === null && key === 'stripPrefix') {
    findings.push(
      errorAt(path, 'there is no prefix to strip: the route takes every path', {
        expected: 'a `path` that ends in /*',
      }),
    )
  } else if (pattern.text !== null && !pattern.wildcard) {
    findings.push(
      errorAt(path, `\`${key}\` rewrites what stands before /*, and the path has none`, {
        expected: '`rewrite: { path }`, or a path of the route that ends in /*',
      }),
    )
  }
}

function checkTemplate(
  input: CheckInput,
  index: number,
  where: readonly string[],
  template: string,
  pattern: PathPattern,
  findings: Finding[],
): void {
  const path = input.routePath(index, ...where)
  const { parameters } = pattern
  for (const [, name = ''] of template.matchAll(PARAMETER)) {
    if (parameters.includes(name)) continue
    const suggestion = closest(name, parameters)
    findings.push(
      errorAt(path, `the path of the route has no parameter {${name}}`, {
        expected:
          parameters.length === 0
            ? `{${name}} in the path of the route`
            : `one of ${parameters.map((it) => `{${it}}`).join(', ')}`,
        ...(suggestion === null ? {} : { suggestion: `{${suggestion}}` }),
      }),
    )
  }
  if (/[{}]/.test(template.replace(PARAMETER, ''))) {
    findings.push(errorAt(path, 'a brace is not closed; write a literal one as %7B or %7D'))
  }
}

function checkIds(input: CheckInput, findings: Finding[]): void {
  const seen = new Set<string>()
  for (const [index, route] of input.document.routes.entries()) {
    if (seen.has(route.id)) {
      findings.push(
        errorAt(input.routePath(index, 'id'), `another route has the id "${route.id}" already`),
      )
    }
    seen.add(route.id)
  }
}

function checkPrecedence(input: CheckInput, findings: Finding[]): void {
  const { routes } = input.document
  // Ids may be doubled by mistake; places cannot be.
  const entries = routes
    .map((route, index) => ({ ...route.match, id: String(index), value: null }))
    .filter((_, index) => !input.isDamaged(index))
  const named = (place: string) => nameOf(input, Number(place), routes)
  for (const { a, b, reason } of findOverlaps(entries)) {
    const [first, second] = Number(a) < Number(b) ? [a, b] : [b, a]
    findings.push(
      errorAt(
        input.routePath(Number(second), 'path'),
        `nothing separates this route from ${named(first)}: ${reason}`,
        {
          expected: 'a condition that only one of them has, or a `priority` on one',
        },
      ),
    )
  }
  for (const { id, by } of findUnreachable(entries)) {
    findings.push(
      warningAt(
        input.routePath(Number(id), 'path'),
        `no request reaches this route: ${named(by)} takes them all`,
      ),
    )
  }
}

function nameOf(input: CheckInput, index: number, routes: readonly RouteDocument[]): string {
  const place = input.routePath(index)[1]
  return `"${routes[index]?.id ?? ''}" (routes[${place}])`
}
