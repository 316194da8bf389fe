// `gatehouse routes`: the routing table in the order of precedence.
import type { Document, RouteDocument } from '../../config/schema.ts'
import { buildRoutingTable, type RouteRow } from '../../proxy/router/routing-table.ts'
import { type Command, EXIT } from './command.ts'
import { configurationFile, loadOrReport } from './configuration-file.ts'
import { alignColumns } from './table.ts'

export const routes: Command = {
  name: 'routes',
  summary: 'Show the routes in the order in which they are tried.',
  usage: '[file]',
  options: { json: { type: 'boolean', description: 'Print the table as JSON.' } },
  argumentsMax: 1,
  async run(args, terminal) {
    const loaded = await loadOrReport(
      configurationFile(args.positionals[0], terminal.cwd),
      terminal,
    )
    if (loaded === null) return EXIT.problems
    const rows = routingTable(loaded.document).list()
    if (args.flag('json')) {
      terminal.out(`${JSON.stringify(rows.map(describe), null, 2)}\n`)
      return EXIT.fine
    }
    const { bold, dim } = terminal.paint
    const head = ['HOST', 'PATH', 'METHODS', 'CONDITIONS', 'TARGET', 'POLICIES', 'ID'].map(bold)
    const lines = rows.map((row) => {
      const { host, path, methods, conditions, target, policies, id } = describe(row)
      return [
        host ?? '*',
        path ?? '*',
        methods.join(',') || '*',
        conditions.join(' ') || dim('-'),
        target,
        policies.join(', ') || dim('-'),
        dim(id),
      ]
    })
    terminal.out(`${alignColumns([head, ...lines]).join('\n')}\n`)
    return EXIT.fine
  },
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

function describe({ host, entry }: RouteRow<RouteDocument>) {
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
  const { services } = target
  if (services.length === 1) return services[0]!.service
  return services.map(({ service, weight }) => `${service}*${weight}`).join(' ')
}
