// The routing table of a document, as commands show it.
import type { Document, RouteDocument } from '../../config/schema.ts'
import { formatShare } from '../../lib/units.ts'
import { buildRoutingTable, type RouteRow } from '../../proxy/router/routing-table.ts'

/** All routes in the order in which they are tried, one row for every host of a route. */
export function describeRows(document: Document) {
  return routingTable(document).list().map(describeRow)
}

/** The table of a document; its values are the routes themselves. */
export function routingTable(document: Document) {
  return buildRoutingTable(
    document.routes.map((route) => ({
      id: route.id,
      ...route.match,
      value: { ...route, use: [...document.use, ...route.use] },
    })),
  )
}

function describeRow({ host, entry }: RouteRow<RouteDocument>) {
  return {
    host,
    path: entry.path,
    methods: entry.methods,
    conditions: [
      ...entry.headers.map((it) => `header ${it.name}${comparison(it.kind, it.value)}`),
      ...entry.query.map((it) => `query ${it.name}${comparison(it.kind, it.value)}`),
      ...(entry.clientIps.length === 0 ? [] : [`ip ${entry.clientIps.join(',')}`]),
      ...(entry.priority === 0 ? [] : [`priority ${entry.priority}`]),
    ],
    target: targetText(entry.value.target),
    policies: entry.value.use.map((use) => use.id),
    id: entry.id,
  }
}

function comparison(kind: string, value: string): string {
  if (kind === 'exact') return `=${value}`
  if (kind === 'prefix') return `=${value}...`
  return kind === 'regex' ? `~${value}` : ` ${kind}`
}

/** Where a route leads, in one line. */
export function targetText(target: RouteDocument['target']): string {
  if (target.kind === 'redirect') return `${target.status} -> ${target.to}`
  if (target.kind === 'respond') return `respond ${target.status}`
  const { services, mirror } = target
  const to =
    services.length === 1
      ? services[0]!.service
      : services.map(({ service, weight }) => `${service}*${weight}`).join(' ')
  return mirror === null ? to : `${to} (${formatShare(mirror.share)} also to ${mirror.service})`
}
