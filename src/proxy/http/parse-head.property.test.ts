// The head parser beside node's own, over heads that are right and heads that are nearly so: what
// Gatehouse takes, node must read in the same way; what node takes and Gatehouse does not, must have
// a reason that stands in a list here.
import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type NodeMessage,
  nodeReadsRequests,
  nodeReadsResponse,
} from '../../../test/support/node-parser.ts'
import { propertyOptions } from '../../../test/support/property.ts'
import type { ErrorCode } from '../../errors.ts'
import type { HttpLimits } from './limits.ts'
import { FIELD_STRIDE, type MessageHead, RequestHead } from './message-head.ts'
import { parseRequestHead, parseResponseHead } from './parse-head.ts'

const LIMITS: HttpLimits = {
  targetBytesMax: 4096,
  headBytesMax: 65536,
  headersMax: 100,
  bodyBytesMax: 1e9,
  headTimeoutMs: 1000,
  bodyIdleTimeoutMs: 1000,
  bodyBytesPerSecondMin: 0,
  bodyRateGraceMs: 1000,
  keepAliveTimeoutMs: 1000,
  requestsPerConnectionMax: 1000,
}

function charactersOf(text: string) {
  return fc.constantFrom(...text.split(''))
}
function range(from: number, to: number): string {
  let text = ''
  for (let code = from; code <= to; code++) text += String.fromCharCode(code)
  return text
}

const token = fc.string({
  unit: charactersOf("!#$%&'*+-.^_`|~09AZaz"),
  minLength: 1,
  maxLength: 12,
})
const ordinaryValue = fc.string({
  unit: charactersOf(`\t${range(0x20, 0x7e)}${range(0x80, 0xff)}`),
  maxLength: 30,
})
const blank = fc.constantFrom('', ' ', '\t', '  \t ')

/** A field line that means something to a gateway, more often right than wrong. */
const tellingField = fc.constantFrom(
  'Content-Length: 0',
  'Content-Length: 5',
  'content-length: 00012',
  'Content-Length: 9007199254740991',
  'Content-Length: 9007199254740992',
  'Content-Length: 5, 5',
  'Content_Length: 5',
  'Transfer-Encoding: chunked',
  'transfer-encoding: CHUNKED',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer_Encoding: chunked',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: Keep-Alive, X-One',
  'Connection: close, x_two',
  'Connection: upgrade',
  'Connection: host',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'Expect: 200-ok',
  'TE: trailers',
  'Host: other.example',
  'X-Forwarded-For: 1.2.3.4',
  'Cookie: a=b; c="d"',
)
const field = fc.oneof(
  { weight: 2, arbitrary: tellingField },
  {
    weight: 3,
    arbitrary: fc
      .tuple(token, blank, ordinaryValue, blank)
      .map(([name, before, value, after]) => `${name}:${before}${value}${after}`),
  },
)

const target = fc.oneof(
  fc.constantFrom(
    '/',
    '/a/b?c=d',
    '*',
    'http://shop.example/a',
    'http://shop.example?q',
    '/a%20b',
    '/..',
  ),
  fc.webPath({ size: 'small' }).map((path) => (path.startsWith('/') ? path : `/${path}`)),
)
const requestLine = fc
  .tuple(
    fc.constantFrom(
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'DELETE',
      'OPTIONS',
      'PATCH',
      'M-SEARCH',
      'CONNECT',
    ),
    target,
    fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.2'),
  )
  .map((parts) => parts.join(' '))
const requestHead = fc
  .tuple(requestLine, fc.array(field, { maxLength: 5 }), fc.nat(5), fc.boolean())
  .map(([line, fields, hostAt, hasHost]) => {
    const all = [...fields]
    if (hasHost || hostAt > 1) all.splice(hostAt, 0, 'Host: shop.example')
    return `${[line, ...all].join('\r\n')}\r\n\r\n`
  })

const statusLine = fc
  .tuple(
    fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'ICY'),
    fc.constantFrom('200', '204', '304', '404', '599', '999', '20', '2000'),
    fc.constantFrom(' OK', ' ', '', ' Very \xe4 long'),
  )
  .map(([version, status, reason]) => `${version} ${status}${reason}`)
const responseHead = fc
  .tuple(statusLine, fc.array(field, { maxLength: 5 }))
  .map(([line, fields]) => `${[line, ...fields].join('\r\n')}\r\n\r\n`)

/** What breaks heads in practice: one byte put in, taken out or exchanged. */
const mutation = fc.record({
  kind: fc.constantFrom('insert', 'delete', 'replace', 'double'),
  at: fc.nat(400),
  text: fc.constantFrom(
    '\r',
    '\n',
    '\r\n',
    ' ',
    '\t',
    ':',
    ',',
    '\0',
    '\x0b',
    '\x7f',
    '\x85',
    '\xff',
    '+',
    '0',
    'x',
    '/',
  ),
})
function mutated(head: string, mutations: readonly { kind: string; at: number; text: string }[]) {
  let text = head
  for (const { kind, at, text: piece } of mutations) {
    const index = at % text.length
    const gone = kind === 'delete' || kind === 'replace' ? 1 : 0
    const put = kind === 'delete' ? '' : kind === 'double' ? text[index]! : piece
    text = text.slice(0, index) + put + text.slice(index + gone)
  }
  // The parser is handed a head up to its first empty line, whatever the mutations made of it.
  const end = text.indexOf('\r\n\r\n')
  return end === -1 ? null : text.slice(0, end + 4)
}
const mutations = fc.oneof(fc.constant([]), fc.array(mutation, { minLength: 1, maxLength: 3 }))

function fieldsOf(head: MessageHead): string[] {
  const out: string[] = []
  for (let i = 0; i < head.fields.length; i += FIELD_STRIDE) {
    out.push(head.raw.slice(head.fields[i], head.fields[i + 1]))
    out.push(head.raw.slice(head.fields[i + 2], head.fields[i + 3]))
  }
  return out
}

function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name)
}

/** Framing as a recipient must understand the fields that node saw. */
function assertSameFraming(head: MessageHead, fields: readonly string[]): void {
  const lengths = valuesOf(fields, 'content-length')
  const codings = valuesOf(fields, 'transfer-encoding')
  assert.ok(lengths.length + codings.length <= 1, 'one framing field at most')
  assert.equal(head.isChunked, codings[0]?.toLowerCase() === 'chunked')
  assert.equal(head.contentLength, lengths.length === 0 ? -1 : Number(lengths[0]))
}

/** Why Gatehouse refuses a request that node would take. A code that is missing has no excuse. */
const EXCUSES: Partial<Record<ErrorCode, (node: NodeMessage, raw: string) => boolean>> = {
  // Node skips line breaks before a request (Gatehouse at most one empty line, before the parser),
  // takes more than one space between the parts, and a line without a version.
  bad_request_line: (_, raw) => !/^[^ \r\n]+ [^ \r\n]+ HTTP\/[0-9]\.[0-9]\r\n/.test(raw),
  method_refused: (node) => node.method === 'CONNECT' || node.method === 'TRACE',
  bad_version: (node) => node.version !== '1.1' && node.version !== '1.0',
  bad_host: (node) => {
    const hosts = valuesOf(node.fields, 'host')
    if (hosts.length !== 1)
      return hosts.length > 1 || node.version !== '1.0' || !node.url.startsWith('/')
    const isPlain = /^([0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$/.test(hosts[0]!)
    const authority = /^https?:\/\/([^/?#]*)/i.exec(node.url)?.[1]
    return (
      !isPlain || (authority !== undefined && authority.toLowerCase() !== hosts[0]!.toLowerCase())
    )
  },
  bad_target: (node) =>
    /\\|[^\x21-\x7e]|#|%(?![0-9a-f]{2})|%00|%5c/i.test(node.url) ||
    /(^|\/|%2f)(\.|%2e){1,2}([/;?]|%2f|$)/i.test(node.url) ||
    !/^(\/|https?:\/\/)/i.test(node.url),
  // Node reads lengths up to 2^64, and codings that it leaves to others.
  bad_framing: (node) =>
    valuesOf(node.fields, 'content-length').some(
      (value) => Number(value) > Number.MAX_SAFE_INTEGER || value.length > 16,
    ) ||
    valuesOf(node.fields, 'transfer-encoding').some((value) => value.toLowerCase() !== 'chunked') ||
    valuesOf(node.fields, 'transfer-encoding').length > 1 ||
    (valuesOf(node.fields, 'transfer-encoding').length > 0 && node.version === '1.0') ||
    node.fields.some(
      (name, i) =>
        i % 2 === 0 &&
        /^(content[^0-9a-z]length|transfer[^0-9a-z]encoding)$/i.test(name) &&
        !name.includes('-'),
    ),
  bad_connection: (node) =>
    valuesOf(node.fields, 'connection').some((value) =>
      value.split(',').some((option) => /^host$|[^!#$%&'*+.^_`|~0-9a-z-]/i.test(option.trim())),
    ),
  expectation_failed: (node) =>
    valuesOf(node.fields, 'expect').some((value) => value.toLowerCase() !== '100-continue'),
}

async function compareRequest(raw: string): Promise<void> {
  const ours = parseRequestHead(raw, LIMITS)
  const { messages, failed } = await nodeReadsRequests(Buffer.from(raw, 'latin1'))
  const theirs = messages[0]
  if (!(ours instanceof RequestHead)) {
    if (theirs === undefined) return
    assert.ok(
      EXCUSES[ours]?.(theirs, raw),
      `${ours} has no excuse: node takes it as ${theirs.method} ${theirs.url}`,
    )
    return
  }
  // Methods that node does not know pass Gatehouse like any other.
  if (!METHODS.includes(ours.method)) return
  assert.ok(
    theirs !== undefined,
    `node refuses what Gatehouse takes (${failed ? 'error' : 'silence'})`,
  )
  assert.equal(ours.method, theirs.method)
  const origin = theirs.url.replace(/^https?:\/\/[^/?#]*/i, '')
  assert.equal(ours.target, origin.startsWith('/') || origin === '*' ? origin : `/${origin}`)
  assert.equal(`1.${ours.minorVersion}`, theirs.version)
  assert.deepEqual(fieldsOf(ours), [...theirs.fields])
  assertSameFraming(ours, theirs.fields)
  // Of close beside keep-alive node takes the latter in HTTP/1.0; RFC 9112 9.3 says close.
  if (ours.upgrade === null && valuesOf(theirs.fields, 'connection').length < 2) {
    assert.equal(ours.keepAlive, theirs.keepAlive)
  }
}

test('requests are read as node reads them, or refused for a reason', async () => {
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(requestHead, mutations, async (head, changes) => {
      const raw = mutated(head, changes)
      fc.pre(raw !== null)
      if (parseRequestHead(raw, LIMITS) instanceof RequestHead) accepted++
      await compareRequest(raw)
    }),
    propertyOptions(3000),
  )
  assert.ok(accepted > 100, `only ${accepted} heads were accepted: the generator is of no use`)
})

test('responses are read as node reads them', async () => {
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(responseHead, mutations, async (head, changes) => {
      const raw = mutated(head, changes)
      fc.pre(raw !== null)
      const ours = parseResponseHead(raw)
      if (ours === null || ours.status < 200) return
      accepted++
      const theirs = await nodeReadsResponse(Buffer.from(raw, 'latin1'), 'HEAD')
      assert.ok(theirs !== null, 'node refuses what Gatehouse takes')
      assert.equal(ours.status, theirs.status)
      assert.equal(ours.reason, theirs.reason)
      assert.equal(`1.${ours.minorVersion}`, theirs.version)
      assert.deepEqual(fieldsOf(ours), [...theirs.fields])
      assertSameFraming(ours, theirs.fields)
    }),
    propertyOptions(2000),
  )
  assert.ok(accepted > 100, `only ${accepted} heads were accepted: the generator is of no use`)
})

test('any bytes at all are refused or understood, never thrown over', () => {
  const bytes = fc.string({ unit: charactersOf(range(0, 0xff)), maxLength: 200 })
  const skewed = fc.string({
    unit: fc.constantFrom('\r\n', '\r', '\n', ' ', ':', 'GET', '/', 'HTTP/1.1', '\0', 'Host: a'),
    maxLength: 40,
  })
  fc.assert(
    fc.property(fc.oneof(bytes, skewed), (text) => {
      const raw = `${text.split('\r\n\r\n')[0]}\r\n\r\n`
      const ours = parseRequestHead(raw, LIMITS)
      assert.ok(typeof ours === 'string' || ours instanceof RequestHead)
      const response = parseResponseHead(raw)
      assert.ok(response === null || response.status >= 100)
    }),
    propertyOptions(5000),
  )
})
