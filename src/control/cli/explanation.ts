// What happens to a request, as data: candidates, policies, target, endpoints.
import type { Document, ForwardDocument, RouteDocument } from '../../config/schema.ts'
import { type ErrorCode, errorKind } from '../../errors.ts'
import { formatDurationMs } from '../../lib/units.ts'
import { TargetFlag } from '../../proxy/http/message-head.ts'
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type { PolicyDefinition } from '../../proxy/pipeline/policy.ts'
import {
  parameterTemplate,
  pathTemplate,
  prefixRewrite,
} from '../../proxy/pipeline/targets/rewrite.ts'
import { decideStages, type ExplainedDecision } from './explanation-decisions.ts'
import { explainedExchange, shownTarget } from './explanation-exchange.ts'
import type { DescribedRequest } from './request-description.ts'
import { routingTable, targetText } from './route-rows.ts'

/** One route and what the request makes of it. */
export interface ExplainedCandidate {
  readonly id: string
  readonly host: string | null
  readonly path: string | null
  readonly target: string
  readonly matched: boolean
  readonly reason: string
}

/** One service that may get the request. */
export interface ExplainedService {
  readonly service: string
  /** Share in percent. */
  readonly share: number
  readonly balance: string
  /** How often a failed attempt is followed by another, at most. */
  readonly retries: number
  /** When another endpoint is asked as well; null for never. */
  readonly hedge: string | null
  /** What bounds its requests in flight; null when nothing does. */
  readonly concurrency: string | null
  /** Where the endpoints come from that the configuration does not list; null if it lists them. */
  readonly discover: string | null
  /** The gateway's own zone, if the service heeds it. */
  readonly zone: string | null
  readonly endpoints: readonly {
    readonly url: string
    readonly weight: number
    readonly priority: number
    readonly zone: string | null
  }[]
}

/** One policy, and what it does with the request. */
export interface ExplainedPolicy {
  readonly id: string
  readonly policy: string
  readonly when: string | null
  readonly mode: string
  readonly decision: ExplainedDecision
}

/** Everything that can be said before the request is sent. */
export interface Explanation {
  readonly request: { method: string; host: string; target: string; clientIp: string }
  readonly candidates: readonly ExplainedCandidate[]
  /** Routes that are for another host or path, and are not among the candidates. */
  readonly otherRoutes: number
  /** The answer that Gatehouse gives itself, when it does. */
  readonly refused: {
    readonly status: number
    readonly code: string
    readonly reason: string
  } | null
  readonly route: string | null
  /** How much the request matters when not all can be served, unless its consumer says otherwise. */
  readonly importance: string | null
  readonly params: Readonly<Record<string, string>> | null
  readonly policies: readonly ExplainedPolicy[]
  readonly forward: {
    /** Path and query as the service gets them. */
    readonly target: string
    /** The `Host` it gets; null for that of the endpoint. */
    readonly host: string | null
    readonly services: readonly ExplainedService[]
    /** Who gets a copy, and how many of such requests are copied, in percent; null for nobody. */
    readonly mirror: { readonly service: string; readonly share: number } | null
  } | null
  readonly redirect: { readonly status: number; readonly location: string } | null
  readonly respond: { readonly status: number; readonly body: string } | null
}

/** How a request is explained. */
export interface ExplainOptions {
  /** As they were given, to be read by the parser of requests. */
  readonly headerLines: readonly string[]
  readonly policies: readonly PolicyDefinition[]
  /** Whether routes for other hosts and paths are candidates too. */
  readonly all: boolean
}

/** Explains a request. Nobody is asked, and nothing that a credential could be is in the result. */
export async function explainRequest(
  document: Document,
  request: DescribedRequest,
  options: ExplainOptions,
): Promise<Explanation> {
  const { policies, all } = options
  const table = routingTable(document)
  const rows = table.explain(request)
  const near = rows.filter(({ reason }) => all || (reason !== 'host' && reason !== 'path'))
  const { method, host, clientIp } = request
  const target = shownTarget(request.target, document, policies)
  const base = {
    request: { method, host, target, clientIp },
    candidates: near.map(({ host: rowHost, entry, matches, reason }) => ({
      id: entry.id,
      host: rowHost,
      path: entry.path,
      target: targetText(entry.value.target),
      matched: matches && reason === 'matched',
      reason,
    })),
    otherRoutes: rows.length - near.length,
    route: null,
    importance: null,
    params: null,
    policies: [],
    forward: null,
    redirect: null,
    respond: null,
  }
  if (request.refusal !== null)
    return {
      ...base,
      candidates: [],
      refused: refusal(request.refusal, 'the target is refused for every route'),
    }
  return { ...base, ...(await explainStages(document, request, table, options)) }
}

/** Everything from the choice of the route on. */
async function explainStages(
  document: Document,
  request: DescribedRequest,
  table: ReturnType<typeof routingTable>,
  { headerLines, policies }: ExplainOptions,
) {
  const route = table.find(request)
  const exchange = explainedExchange(document, request, headerLines, policies)
  if (typeof exchange !== 'string' && route !== null) {
    exchange.route = { id: route.id }
    exchange.pathParameters = table.lastParameters
  }
  const refused = refusalAtEntry(route, table.allow, request, exchange)
  // Where no route matches, the policies of every route run all the same.
  const reaches = typeof exchange !== 'string' && (refused === null || route === null)
  const uses = route?.use ?? document.use
  const seen = reaches ? exchange : null
  const decisions = await decideStages(document, policies, route?.id ?? '', uses, seen)
  const explained = uses.map(({ id, policy, when, mode }, index) => ({
    id,
    policy,
    when,
    mode,
    decision: decisions[index]!,
  }))
  const isAnswered = explained.some(
    ({ mode, decision }) => decision.outcome === 'answers' && mode === 'enforce',
  )
  if (route === null || typeof exchange === 'string') return { refused, policies: explained }
  const shown = (text: string) => shownTarget(text, document, policies)
  return {
    route: route.id,
    importance: route.importance,
    params: exchange.params,
    refused,
    policies: explained,
    ...(isAnswered ? {} : describeTarget(document, route, exchange, shown)),
  }
}

/** Why no policy decides anything; null if they do. */
function refusalAtEntry(
  route: RouteDocument | null,
  allow: string | null,
  request: DescribedRequest,
  exchange: Exchange | ErrorCode,
) {
  if (typeof exchange === 'string') return refusal(exchange, 'the request is refused unread')
  if (route !== null) return doubtfulTarget(route, request)
  return allow === null
    ? refusal('route_not_found', 'no route takes it')
    : refusal('method_not_allowed', `the route takes ${allow}`)
}

function refusal(code: ErrorCode, reason: string) {
  return { status: errorKind(code).status, code, reason }
}

function doubtfulTarget(route: RouteDocument, { targetFlags }: DescribedRequest) {
  if (targetFlags & TargetFlag.doubleSlash && !route.allowDoubleSlash) {
    return refusal('bad_target', 'the path has // and the route does not allow it')
  }
  if (targetFlags & TargetFlag.encodedPercent && !route.allowEncodedPercent) {
    return refusal(
      'bad_target',
      'the path has a doubly encoded dot or slash and the route does not allow it',
    )
  }
  if (targetFlags & TargetFlag.encodedSlash && route.encodedSlash === 'reject') {
    return refusal('bad_target', 'the path has %2F and the route rejects it')
  }
  return null
}

function describeTarget(
  document: Document,
  route: RouteDocument,
  exchange: Exchange,
  shown: (target: string) => string,
) {
  const { target } = route
  if (target.kind === 'respond') return { respond: { status: target.status, body: target.body } }
  if (target.kind === 'redirect') {
    return {
      redirect: { status: target.status, location: shown(location(route, target.to, exchange)) },
    }
  }
  return {
    forward: {
      target: shown(rewritten(route, target, exchange)),
      host: forwardedHost(document, target, exchange),
      services: shares(document, target),
      mirror: mirrorOf(target, exchange),
    },
  }
}

function location(route: RouteDocument, to: string, exchange: Exchange): string {
  const text = parameterTemplate(to, route.match.path)(exchange)
  return to.includes('?') || exchange.query === '' ? text : `${text}?${exchange.query}`
}

function rewritten(route: RouteDocument, { rewrite }: ForwardDocument, exchange: Exchange): string {
  if (rewrite === null) return exchange.target
  if (rewrite.path !== null) return pathTemplate(rewrite.path, route.match.path)(exchange)
  if (rewrite.prefix === null) return exchange.target
  return prefixRewrite(route.match.path ?? '/*', rewrite.prefix)(exchange)
}

/** The host a service is sent; with several services, that of the first. */
function forwardedHost(
  document: Document,
  target: ForwardDocument,
  exchange: Exchange,
): string | null {
  if (target.rewrite?.host != null) return target.rewrite.host
  const service = document.services.find(({ name }) => name === target.services[0]?.service)
  if (service?.hostHeader.kind === 'literal') return service.hostHeader.value
  return service?.hostHeader.kind === 'endpoint' ? null : exchange.authority
}

function mirrorOf({ mirror }: ForwardDocument, { method }: Exchange) {
  if (mirror === null || !mirror.methods.includes(method)) return null
  return { service: mirror.service, share: Math.round(mirror.share * 1000) / 10 }
}

function shares(document: Document, target: ForwardDocument): ExplainedService[] {
  const total = target.services.reduce((sum, { weight }) => sum + weight, 0)
  return target.services.map(({ service: name, weight }) => {
    const service = document.services.find((candidate) => candidate.name === name)
    const scheme = service?.tls == null ? 'http' : 'https'
    return {
      service: name,
      share: Math.round((weight / total) * 1000) / 10,
      balance: balanceText(service?.balance),
      ...againText(service, target),
      concurrency: concurrencyText(service?.concurrency ?? null),
      discover: discoverText(service?.discover ?? null),
      zone: typeof service?.balance === 'string' ? document.zone : null,
      endpoints: (service?.endpoints ?? []).map((endpoint) => ({
        url: `${scheme}://${endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`,
        weight: endpoint.weight,
        priority: endpoint.priority,
        zone: endpoint.zone,
      })),
    }
  })
}

function discoverText(discover: Document['services'][number]['discover']): string | null {
  if (discover === null) return null
  if (discover.kind === 'srv') return `SRV records of ${discover.name}`
  if (discover.kind === 'file') return `the file ${discover.path}`
  return `the module ${discover.module}`
}

/** What of a request is sent again, or twice. */
function againText(
  service: Document['services'][number] | undefined,
  { retries }: ForwardDocument,
): Pick<ExplainedService, 'retries' | 'hedge'> {
  if (service === undefined || retries === false) return { retries: 0, hedge: null }
  const { hedge } = service
  const after = hedge?.quantile
    ? `p${Number((hedge.quantile * 100).toFixed(1))}`
    : formatDurationMs(hedge?.afterMs ?? 0)
  return {
    retries: retries?.attemptsMax ?? service.retries.attemptsMax,
    hedge: hedge === null ? null : `after ${after}${hedge.max > 1 ? `, up to ${hedge.max}` : ''}`,
  }
}

function concurrencyText(concurrency: Document['services'][number]['concurrency']): string | null {
  if (concurrency === null) return null
  const { adaptive, limit, queueMax, queueTimeoutMs } = concurrency
  const most =
    adaptive === null ? `${limit}` : `${adaptive.min} to ${adaptive.max} (${adaptive.algorithm})`
  const wait =
    queueMax === 0 ? 'none wait' : `${queueMax} wait up to ${formatDurationMs(queueTimeoutMs)}`
  return `at most ${most} in flight, ${wait}`
}

function balanceText(balance: Document['services'][number]['balance'] | undefined): string {
  if (balance === undefined || typeof balance === 'string') return balance ?? ''
  const { hash } = balance
  return `hash by ${'name' in hash ? `${hash.by} ${hash.name}` : hash.by}`
}
