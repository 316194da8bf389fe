// Requests that look dangerous, and are taken: what could be read in two ways is taken out or written
// anew, so that the service gets exactly as many requests as the client sent, without a trace of it.
import { get, HOST } from './refused-case.ts'

/** A request that passes in another form. */
export interface DefusedCase {
  readonly name: string
  readonly bytes: string
  /** What the service must not see, in whatever it receives. */
  readonly never: RegExp
  /** The body that the service must see. */
  readonly body?: string
}

const CHUNKED = 'Transfer-Encoding: chunked'
const NOTHING = /(?!)/

function post(fields: readonly string[], body: string): string {
  return `${['POST /taken HTTP/1.1', `Host: ${HOST}`, ...fields].join('\r\n')}\r\n\r\n${body}`
}

const HOP_BY_HOP: DefusedCase[] = [
  ['a field that Connection names', ['Connection: X-Secret', 'X-Secret: 1'], /x-secret/i],
  [
    'a field that Connection names in another case',
    ['X-Secret: 1', 'Connection: x-SECRET'],
    /x-secret/i,
  ],
  [
    'several fields that Connection names',
    ['Connection: a, X-B ,c', 'A: 1', 'X-B: 2', 'C: 3'],
    /^(a|x-b|c):/im,
  ],
  ['Keep-Alive', ['Keep-Alive: timeout=5'], /keep-alive/i],
  ['Proxy-Connection', ['Proxy-Connection: keep-alive'], /proxy-connection/i],
  ['Proxy-Authorization', ['Proxy-Authorization: Basic eDp5'], /proxy-auth/i],
  ['TE beyond trailers', ['TE: gzip, deflate;q=0.5', 'Connection: TE'], /gzip|deflate/i],
  [
    'Upgrade to h2c',
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'],
    /h2c|http2-settings|upgrade/i,
  ],
  ['Upgrade to an unlisted protocol', ['Connection: Upgrade', 'Upgrade: spdy/3'], /upgrade|spdy/i],
  ['Upgrade that Connection does not name', ['Upgrade: websocket'], /upgrade|websocket/i],
  ['Upgrade hidden in a list', ['Connection: Upgrade', 'Upgrade: foo, h2c'], /h2c|upgrade/i],
].map(([name, fields, never]) => ({
  name: name as string,
  bytes: get('/taken', ...(fields as string[])),
  never: never as RegExp,
}))

const ORIGINS: DefusedCase[] = [
  'X-Forwarded-For: 6.6.6.6',
  'x-forwarded-for: 6.6.6.6',
  'X_Forwarded_For: 6.6.6.6',
  'X-Forwarded-Host: 6.6.6.6',
  'X-Forwarded-Proto: 6.6.6.6',
  'X-Forwarded-Port: 6.6.6.6',
  'X-Forwarded-Prefix: 6.6.6.6',
  'X-Real-IP: 6.6.6.6',
  'X_Real_IP: 6.6.6.6',
  'Forwarded: for=6.6.6.6;host=evil',
].map((field) => ({ name: `untrusted ${field}`, bytes: get('/taken', field), never: /6\.6\.6\.6/ }))

const FRAMING: DefusedCase[] = [
  { name: 'one empty line before the request', bytes: `\r\n${get('/taken')}`, never: /^\r\n/ },
  {
    name: 'a line break behind a body, as old browsers send it',
    bytes: post(['Content-Length: 5'], 'hello\r\n'),
    never: /hello\r\n/,
    body: 'hello',
  },
  {
    name: 'CHUNKED',
    bytes: post(['Transfer-Encoding: CHUNKED'], '5\r\nhello\r\n0\r\n\r\n'),
    never: NOTHING,
    body: 'hello',
  },
  {
    name: 'blanks around chunked',
    bytes: post(['Transfer-Encoding:\t chunked \t'], '5\r\nhello\r\n0\r\n\r\n'),
    never: /\t/,
    body: 'hello',
  },
  {
    name: 'blanks around the length',
    bytes: post(['Content-Length: \t5 \t'], 'hello'),
    never: NOTHING,
    body: 'hello',
  },
  {
    name: 'no blank before the length',
    bytes: post(['Content-Length:5'], 'hello'),
    never: NOTHING,
    body: 'hello',
  },
  {
    name: 'a chunk extension',
    bytes: post([CHUNKED], '5;evil=1\r\nhello\r\n0;evil\r\n\r\n'),
    never: /evil/,
    body: 'hello',
  },
  {
    name: 'a quoted chunk extension',
    bytes: post([CHUNKED], '5;a="evil"\r\nhello\r\n0\r\n\r\n'),
    never: /evil/,
    body: 'hello',
  },
  {
    name: 'a few zeros before the size',
    bytes: post([CHUNKED], '0005\r\nhello\r\n000\r\n\r\n'),
    never: /0005/,
    body: 'hello',
  },
  {
    name: 'data that looks like the end',
    bytes: post([CHUNKED], '5\r\n0\r\n\r\n\r\n0\r\n\r\n'),
    never: NOTHING,
    body: '0\r\n\r\n',
  },
  {
    name: 'a body that looks like a request',
    bytes: post(['Content-Length: 34'], 'GET /x HTTP/1.1\r\nHost: a.example\r\n'),
    never: NOTHING,
    body: 'GET /x HTTP/1.1\r\nHost: a.example\r\n',
  },
  {
    name: 'a GET with a body',
    bytes: `GET /taken HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\n\r\nhello`,
    never: NOTHING,
    body: 'hello',
  },
  {
    name: 'Upgrade with a body',
    bytes: post(['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 5'], 'hello'),
    never: /upgrade|websocket/i,
    body: 'hello',
  },
  {
    name: 'Upgrade on a GET with a body',
    bytes: `GET /taken HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${CHUNKED}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    never: /connection: *upgrade|websocket/i,
    body: 'hello',
  },
]

const TRAILERS: DefusedCase[] = [
  'Content-Length: 44',
  'Transfer-Encoding: chunked',
  'Host: admin.example',
  'Authorization: Bearer evil',
  'Cookie: evil=1',
  'X-Forwarded-For: 6.6.6.6',
  'Connection: close',
  'Set-Cookie: evil=1',
  'X-Unlisted: evil',
].map((field) => ({
  name: `trailer ${field}`,
  bytes: post([CHUNKED], `5\r\nhello\r\n0\r\n${field}\r\n\r\n`),
  never: /6\.6\.6\.6|evil|44|admin|Connection/,
  body: 'hello',
}))

/** Every request that passes in another form. */
export const DEFUSED: readonly DefusedCase[] = [...HOP_BY_HOP, ...ORIGINS, ...FRAMING, ...TRAILERS]
