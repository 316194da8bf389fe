// A list of endpoints as a file or a module gives it, with every mistake in its place.
import { ENDPOINTS_MAX, type SourcedEndpoint } from '../proxy/upstream/discovery/endpoint-source.ts'
import { findingsOf, rememberKnownKeys } from './issue.ts'
import { type Finding, formatPath } from './problem.ts'
import { endpointListSchema } from './schema/endpoint.ts'
import { readYaml } from './sources/yaml-source.ts'

/** Bytes of a file of endpoints: room for more than there may be. */
export const ENDPOINT_FILE_BYTES_MAX = 256 * 1024

/** What a list holds, or a line for each mistake. */
export type EndpointList =
  | { readonly endpoints: readonly SourcedEndpoint[]; readonly problems: null }
  | { readonly endpoints: null; readonly problems: readonly string[] }

/** Mistakes that are told one by one. */
const PROBLEMS_MAX = 10
const schema = endpointListSchema()

/** Reads the text of a file of endpoints; each problem begins with its `file:line:column`. */
export function readEndpoints(file: string, text: string, scheme: 'http' | 'https'): EndpointList {
  if (Buffer.byteLength(text) > ENDPOINT_FILE_BYTES_MAX) {
    return bad([`${file}: the file is larger than ${ENDPOINT_FILE_BYTES_MAX / 1024}kb`])
  }
  const source = readYaml(file, text)
  const line = (message: string, { line, column }: { line: number; column: number }) =>
    `${file}:${line}:${column}: ${message}`
  if (source.data === undefined) {
    return bad(source.problems.map(({ message, position }) => line(message, position)))
  }
  // Whoever writes a file in place empties it first: "no endpoints" has to be said.
  if (source.data === null) return bad([`${file}:1:1: the file is empty; no endpoints is \`[]\``])
  const { endpoints, findings } = parse(source.data, scheme)
  if (endpoints !== null) return { endpoints, problems: null }
  return bad(
    findings.map((finding) => line(messageOf(finding), source.locate(finding.path, finding.at))),
  )
}

/** The same of data; each problem begins with its path. */
export function toEndpoints(data: unknown, scheme: 'http' | 'https'): EndpointList {
  const { endpoints, findings } = parse(data, scheme)
  if (endpoints !== null) return { endpoints, problems: null }
  return bad(
    findings.map((finding) => `endpoints${formatPath(finding.path)}: ${messageOf(finding)}`),
  )
}

function parse(
  data: unknown,
  scheme: string,
):
  | { endpoints: SourcedEndpoint[]; findings: null }
  | { endpoints: null; findings: readonly Finding[] } {
  if (Array.isArray(data) && data.length > ENDPOINTS_MAX) {
    const message = `a service has at most ${ENDPOINTS_MAX} endpoints; these are ${data.length}`
    return {
      endpoints: null,
      findings: [{ severity: 'error', path: [], at: 'value', message }],
    }
  }
  const result = schema.safeParse(data, { error: rememberKnownKeys })
  if (!result.success) {
    const findings = result.error.issues.flatMap((issue) => findingsOf(issue, data))
    return { endpoints: null, findings }
  }
  const other = result.data.findIndex((endpoint) => endpoint.scheme !== scheme)
  if (other >= 0) {
    const message = `the endpoints of this service begin with ${scheme}://`
    return {
      endpoints: null,
      findings: [{ severity: 'error', path: [other], at: 'value', message }],
    }
  }
  const endpoints = result.data.map(({ scheme: _, ...endpoint }) => endpoint)
  return { endpoints, findings: null }
}

function messageOf({ message, expected, suggestion }: Finding): string {
  if (suggestion !== undefined) return `${message}; did you mean ${suggestion}?`
  return expected === undefined ? message : `${message}; expected ${expected}`
}

function bad(problems: readonly string[]): EndpointList {
  const more = problems.length - PROBLEMS_MAX
  const told = problems.slice(0, PROBLEMS_MAX)
  return { endpoints: null, problems: more > 0 ? [...told, `and ${more} more`] : told }
}
