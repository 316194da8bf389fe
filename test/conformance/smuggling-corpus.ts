// Requests that two parsers could read in two ways. Each must be refused with its code, or reach the
// service in a form that leaves no choice. Written by hand from RFC 9110, RFC 9112 and DESIGN.md 5.
import type { ErrorCode } from '../../src/errors.ts'

/** A request that is refused. */
export interface RefusedCase {
  readonly name: string
  /** The whole request; one character, one byte. */
  readonly bytes: string
  /** The codes that are right; several where it depends on how the bytes arrive. */
  readonly codes: readonly ErrorCode[]
  /** `body`: the head was right, so the service may have seen it, but never a complete request. */
  readonly where: 'head' | 'body'
}

export const HOST = 'shop.example'

/** A GET with these lines after Host. */
export function get(target: string, ...fields: readonly string[]): string {
  return `${[`GET ${target} HTTP/1.1`, `Host: ${HOST}`, ...fields].join('\r\n')}\r\n\r\n`
}

function post(fields: readonly string[], body: string): string {
  return `${['POST /victim HTTP/1.1', `Host: ${HOST}`, ...fields].join('\r\n')}\r\n\r\n${body}`
}

/** A GET whose Host line is replaced by these lines. */
function hosts(...lines: readonly string[]): string {
  return `${['GET /victim HTTP/1.1', ...lines].join('\r\n')}\r\n\r\n`
}

function line(text: string): string {
  return `${text}\r\nHost: ${HOST}\r\n\r\n`
}

type Row = readonly [name: string, bytes: string]

function head(codes: readonly ErrorCode[], rows: readonly Row[]): RefusedCase[] {
  return rows.map(([name, bytes]) => ({ name, bytes, codes, where: 'head' as const }))
}

function hex(byte: string): string {
  return `0x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`
}

const CHUNKED = 'Transfer-Encoding: chunked'
const CONTROLS = ['\0', '\x01', '\x07', '\x08', '\x0b', '\x0c', '\x1b', '\x1f', '\x7f']

/** Line ends: only CR LF ends a line, and nothing else holds a CR or an LF. */
const LINE_ENDS = head(
  ['bad_request_line', 'bad_header'],
  [
    ['LF alone throughout', `GET /victim HTTP/1.1\nHost: ${HOST}\n\n`],
    ['LF alone after the request line', `GET /victim HTTP/1.1\nHost: ${HOST}\r\n\r\n`],
    ['LF alone after a field', `GET /victim HTTP/1.1\r\nHost: ${HOST}\nX: 1\r\n\r\n`],
    ['LF alone as the empty line', `GET /victim HTTP/1.1\r\nHost: ${HOST}\r\n\n`],
    ['LF alone before the empty line', `GET /victim HTTP/1.1\r\nHost: ${HOST}\n\r\n`],
    ['LF hides a field', get('/victim', `X: 1\n${CHUNKED}`)],
    ['CR alone throughout', `GET /victim HTTP/1.1\rHost: ${HOST}\r\r`],
    ['CR alone after the request line', `GET /victim HTTP/1.1\rHost: ${HOST}\r\n\r\n`],
    ['CR alone hides a field', get('/victim', 'X: 1\rContent-Length: 5')],
    ['CR within a value', get('/victim', 'X: a\rb')],
    ['CR at the end of a value', get('/victim', 'X: a\r')],
    ['CR at the end of a name', get('/victim', 'X\r: a')],
    ['LF CR', `GET /victim HTTP/1.1\n\rHost: ${HOST}\n\r\n\r`],
    ['CR CR LF', `GET /victim HTTP/1.1\r\r\nHost: ${HOST}\r\r\n\r\r\n`],
    ['LF before the request', `\nGET /victim HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ['CR before the request', `\rGET /victim HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ['two empty lines before the request', `\r\n\r\n${get('/victim')}`],
    ['three empty lines before the request', `\r\n\r\n\r\n${get('/victim')}`],
  ],
)

const FIELDS = head(
  ['bad_header'],
  [
    ['a folded value', get('/victim', 'X: a', ' b')],
    ['a value folded by a tab', get('/victim', 'X: a', '\tb')],
    ['folding right after the request line', hosts(' X: 1', `Host: ${HOST}`)],
    ['a blank line of spaces', get('/victim', ' ', 'X: 1')],
    ['a space before the colon', get('/victim', 'X : 1')],
    ['a tab before the colon', get('/victim', 'X\t: 1')],
    ['a space before the colon of Host', hosts(`Host : ${HOST}`)],
    ['a space before the colon of Content-Length', post(['Content-Length : 5'], 'hello')],
    ['a tab before the colon of Content-Length', post(['Content-Length\t: 5'], 'hello')],
    [
      'a space before the colon of Transfer-Encoding',
      post(['Transfer-Encoding : chunked'], '0\r\n\r\n'),
    ],
    ['a vertical tab before the colon', post(['Transfer-Encoding\x0b: chunked'], '0\r\n\r\n')],
    ['a space before Transfer-Encoding', post([' Transfer-Encoding: chunked'], '0\r\n\r\n')],
    ['a space within Content-Length', post(['Content Length: 5'], 'hello')],
    ['no name', get('/victim', ': 1')],
    ['no colon', get('/victim', 'X')],
    [
      'no colon in the last line',
      `GET /victim HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding\r\n\r\n`,
    ],
    ['a name in quotes', get('/victim', '"X": 1')],
    ['a name in parentheses', get('/victim', '(X): 1')],
    ['a name with a slash', get('/victim', 'X/Y: 1')],
    ['a name with an obs-text byte', get('/victim', 'X\xe4: 1')],
    ['a name with an at sign', get('/victim', 'X@Y: 1')],
    ['NUL before the coding', post(['Transfer-Encoding: \0chunked'], '0\r\n\r\n')],
    ['a vertical tab before the coding', post(['Transfer-Encoding: \x0bchunked'], '0\r\n\r\n')],
    ['a form feed after the length', post(['Content-Length: 5\x0c'], 'hello')],
    ['NUL after the length', post(['Content-Length: 5\0'], 'hello')],
    ...CONTROLS.map((byte): Row => [`${hex(byte)} in a value`, get('/victim', `X: a${byte}b`)]),
    ...CONTROLS.map((byte): Row => [`${hex(byte)} in a name`, get('/victim', `X${byte}Y: 1`)]),
  ],
)

const FOLDED_FRAMING = head(
  ['bad_header', 'bad_framing'],
  [
    ['a folded Transfer-Encoding', post(['Transfer-Encoding:', ' chunked'], '0\r\n\r\n')],
    ['a folded Content-Length', post(['Content-Length:', '\t5'], 'hello')],
  ],
)

const LENGTHS = head(
  ['bad_framing'],
  [
    ...[
      '+5',
      '-5',
      '-0',
      '0x5',
      '5,5',
      '5, 5',
      '5, 6',
      '5,',
      ',5',
      '5 5',
      '5.0',
      '5;',
      '1e1',
      '5_0',
      '"5"',
      "'5'",
      'five',
      '\xb2',
      '5\xa0',
      'NaN',
      'Infinity',
      '',
      '9007199254740992',
      '18446744073709551616',
      '18446744073709551621',
      '99999999999999999999999999999999',
      `${'0'.repeat(40)}5`,
    ].map(
      (value): Row => [
        `Content-Length: ${JSON.stringify(value)}`,
        post([`Content-Length: ${value}`], 'hello'),
      ],
    ),
    ['Content-Length twice, equal', post(['Content-Length: 5', 'Content-Length: 5'], 'hello')],
    ['Content-Length twice, unequal', post(['Content-Length: 5', 'Content-Length: 0'], 'hello')],
    [
      'Content-Length twice, the second empty',
      post(['Content-Length: 5', 'Content-Length:'], 'hello'),
    ],
    ['Content-Length in two spellings', post(['Content-Length: 0', 'CONTENT-LENGTH: 5'], 'hello')],
    ['Content_Length', post(['Content_Length: 5'], 'hello')],
    [
      'Content_Length beside Content-Length',
      post(['Content-Length: 5', 'Content_Length: 0'], 'hello'),
    ],
    ['two lengths on a GET', get('/victim', 'Content-Length: 0', 'Content-Length: 44')],
  ],
)

const CODINGS = head(
  ['bad_framing'],
  [
    ...[
      'chunked, chunked',
      'chunked,chunked',
      'chunked, identity',
      'identity, chunked',
      'identity',
      'gzip',
      'gzip, chunked',
      'chunked, gzip',
      'xchunked',
      'chunkedx',
      'chunke',
      'chunked;q=1',
      'chunked;',
      '"chunked"',
      "'chunked'",
      ', chunked',
      'chunked,',
      ',',
      '',
      'chunked\xa0',
      '\xa0chunked',
      'ch\xfcnked',
      'c hunked',
      'cow',
    ].map(
      (value): Row => [
        `Transfer-Encoding: ${JSON.stringify(value)}`,
        post([`Transfer-Encoding: ${value}`], '0\r\n\r\n'),
      ],
    ),
    ['Content-Length, then Transfer-Encoding', post(['Content-Length: 5', CHUNKED], '0\r\n\r\n')],
    ['Transfer-Encoding, then Content-Length', post([CHUNKED, 'Content-Length: 5'], '0\r\n\r\n')],
    [
      'Content-Length: 0 beside Transfer-Encoding',
      post(['Content-Length: 0', CHUNKED], '0\r\n\r\n'),
    ],
    [
      'odd spellings of both',
      post(['cOnTeNt-LeNgTh: 5', 'tRANSFER-eNCODING: cHUNKED'], '0\r\n\r\n'),
    ],
    ['Transfer-Encoding twice, equal', post([CHUNKED, CHUNKED], '0\r\n\r\n')],
    ['Transfer-Encoding twice, unequal', post([CHUNKED, 'Transfer-Encoding: cow'], '0\r\n\r\n')],
    ['an unknown coding, then chunked', post(['Transfer-Encoding: cow', CHUNKED], '0\r\n\r\n')],
    [
      'an empty Transfer-Encoding, then chunked',
      post(['Transfer-Encoding:', CHUNKED], '0\r\n\r\n'),
    ],
    [
      'identity beside Content-Length',
      post(['Transfer-Encoding: identity', 'Content-Length: 5'], 'hello'),
    ],
    ['Transfer_Encoding', post(['Transfer_Encoding: chunked'], '0\r\n\r\n')],
    [
      'Transfer_Encoding beside Content-Length',
      post(['Content-Length: 5', 'Transfer_Encoding: chunked'], 'hello'),
    ],
    [
      'chunked in HTTP/1.0',
      `POST /victim HTTP/1.0\r\nHost: ${HOST}\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`,
    ],
    [
      'both in HTTP/1.0',
      `POST /victim HTTP/1.0\r\nContent-Length: 5\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`,
    ],
    ['both on a GET', get('/victim', 'Content-Length: 5', CHUNKED)],
  ],
)

const HOSTS = head(
  ['bad_host'],
  [
    ['no Host', hosts('X: 1')],
    ['no fields at all', 'GET /victim HTTP/1.1\r\n\r\n'],
    ['Host twice, equal', hosts(`Host: ${HOST}`, `Host: ${HOST}`)],
    ['Host twice, unequal', hosts(`Host: ${HOST}`, 'Host: admin.example')],
    ['Host in two spellings', hosts(`HOST: ${HOST}`, 'host: admin.example')],
    ['Host twice in HTTP/1.0', `GET /victim HTTP/1.0\r\nHost: ${HOST}\r\nHost: b\r\n\r\n`],
    ...[
      '',
      'user@shop.example',
      'user:secret@shop.example',
      'shop.example@',
      'shop example',
      'shop.example, admin.example',
      'shop.example,admin.example',
      'shop\texample',
      'shop.example:',
      'shop.example:port',
      'shop.example:-1',
      'shop.example:+80',
      'shop.example:99999',
      'shop.example:80:80',
      'shop.example:080808',
      'shop.example/path',
      'shop.example?query',
      'shop.example#fragment',
      'shop.example\\admin',
      'http://shop.example',
      '[::1',
      '::1',
      '[::1]x',
      '[]',
      '[::1]:',
      'sh\xf6p.example',
      'shop.example%00',
      '"shop.example"',
      '<shop.example>',
      'shop.example;x',
      `${'a'.repeat(300)}.example`,
    ].map((value): Row => [`Host: ${JSON.stringify(value.slice(0, 40))}`, hosts(`Host: ${value}`)]),
    ['absolute-form for another host', get('http://admin.example/victim')],
    ['absolute-form for another port', get(`http://${HOST}:81/victim`)],
    ['absolute-form with userinfo', get(`http://user@${HOST}/victim`)],
    ['absolute-form without a host', get('http:///victim')],
    ['absolute-form and Host with userinfo', `GET http://a@b/victim HTTP/1.1\r\nHost: a@b\r\n\r\n`],
    ['absolute-form without Host', 'GET http://shop.example/victim HTTP/1.1\r\n\r\n'],
    ['absolute-form with two Hosts', `GET http://b/victim HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`],
  ],
)

const METHODS_AND_VERSIONS = [
  ...head(
    ['method_refused'],
    [
      ['CONNECT in authority-form', `CONNECT ${HOST}:443 HTTP/1.1\r\nHost: ${HOST}:443\r\n\r\n`],
      ['CONNECT with a path', line('CONNECT /victim HTTP/1.1')],
      ['TRACE', line('TRACE /victim HTTP/1.1')],
      [
        'TRACE with a body',
        `TRACE /victim HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 2\r\n\r\nab`,
      ],
    ],
  ),
  ...head(
    ['bad_version'],
    [
      ['HTTP/2.0', line('GET /victim HTTP/2.0')],
      ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
      ['HTTP/3.0', line('GET /victim HTTP/3.0')],
      ['HTTP/1.2', line('GET /victim HTTP/1.2')],
      ['HTTP/1.9', line('GET /victim HTTP/1.9')],
      ['HTTP/0.9 in words', line('GET /victim HTTP/0.9')],
      ['HTTP/1.10', line('GET /victim HTTP/1.10')],
      ['HTTP/1.01', line('GET /victim HTTP/1.01')],
      ['HTTP/01.1', line('GET /victim HTTP/01.1')],
      ['HTTP/1', line('GET /victim HTTP/1')],
      ['HTTP/11', line('GET /victim HTTP/11')],
      ['HTTP/1.1.1', line('GET /victim HTTP/1.1.1')],
    ],
  ),
]

const REQUEST_LINES = [
  ...head(
    ['bad_request_line'],
    [
      ['HTTP/0.9', 'GET /victim\r\n\r\n'],
      ['HTTP/0.9 with fields', line('GET /victim')],
      ['http/1.1 in lower case', line('GET /victim http/1.1')],
      ['Http/1.1', line('GET /victim Http/1.1')],
      ['HTTPS/1.1', line('GET /victim HTTPS/1.1')],
      ['HTTP /1.1', line('GET /victim HTTP /1.1')],
      ['HTTP/1.1 with a letter', line('GET /victim HTTP/1.1x')],
      ['HTTP/1,1', line('GET /victim HTTP/1,1')],
      ['HTTP/+1.1', line('GET /victim HTTP/+1.1')],
      ['HTTP without a version', line('GET /victim HTTP')],
      ['RTSP', line('GET /victim RTSP/1.0')],
      ['two spaces before the target', line('GET  /victim HTTP/1.1')],
      ['two spaces after the target', line('GET /victim  HTTP/1.1')],
      ['a space after the version', line('GET /victim HTTP/1.1 ')],
      ['a tab after the version', line('GET /victim HTTP/1.1\t')],
      ['a space before the method', line(' GET /victim HTTP/1.1')],
      ['a tab before the method', line('\tGET /victim HTTP/1.1')],
      ['a tab after the method', line('GET\t/victim HTTP/1.1')],
      ['a tab after the target', line('GET /victim\tHTTP/1.1')],
      ['tabs for all spaces', line('GET\t/victim\tHTTP/1.1')],
      ['a vertical tab for a space', line('GET\x0b/victim HTTP/1.1')],
      ['a space in the target', line('GET /vic tim HTTP/1.1')],
      ['a second request line in the target', line('GET /victim HTTP/1.1 HTTP/1.1')],
      ['no target', line('GET HTTP/1.1')],
      ['an empty target', line('GET  HTTP/1.1')],
      ['no method', line('/victim HTTP/1.1')],
      ['an empty method', line(' /victim HTTP/1.1')],
      ['a method with a brace', line('GE{T /victim HTTP/1.1')],
      ['a method with a colon', line('GET: /victim HTTP/1.1')],
      ['a method with NUL', line('GET\0 /victim HTTP/1.1')],
      ['a method with an obs-text byte', line('G\xcbT /victim HTTP/1.1')],
      ['a method in quotes', line('"GET" /victim HTTP/1.1')],
      ['a TLS client hello', '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n'],
      ['an answer for a request', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ],
  ),
]

const TARGETS = head(
  ['bad_target'],
  [
    ['authority-form', line(`GET ${HOST}:80 HTTP/1.1`)],
    ['a relative target', line('GET victim HTTP/1.1')],
    ['a query alone', line('GET ?victim HTTP/1.1')],
    ['asterisk-form with GET', line('GET * HTTP/1.1')],
    ['asterisk and more', line('OPTIONS *x HTTP/1.1')],
    ['another scheme', line(`GET ftp://${HOST}/victim HTTP/1.1`)],
    ['a file', line('GET file:///victim HTTP/1.1')],
    ['one slash after the scheme', line(`GET http:/${HOST}/victim HTTP/1.1`)],
    ['no slash after the scheme', line(`GET http:${HOST}/victim HTTP/1.1`)],
    ...[
      '/..',
      '/.',
      '/./victim',
      '/../victim',
      '/a/../victim',
      '/a/..',
      '/a/.',
      '/a/..?q',
      '/a/./victim',
      '/a/../../victim',
      '/%2e%2e/victim',
      '/%2E%2E/victim',
      '/.%2e/victim',
      '/%2e./victim',
      '/a/%2e',
      '/a/%2e%2E?q',
      '/a/..;/victim',
      '/a/.;x=1/victim',
      '/a/..;x',
      '/a/%2e%2e;/victim',
      '/a/..%2fvictim',
      '/a%2f../victim',
      '/a%2f..%2fvictim',
      '/a%2F%2e%2e',
      '/a\\victim',
      '/..\\victim',
      '/a%5cvictim',
      '/a%5Cvictim',
      '/a%00victim',
      '/%00',
      '/a%',
      '/a%2',
      '/a%zz',
      '/a%2g',
      '/a%%32%65',
      '/%u002e/victim',
      '//victim',
      '/a//victim',
      '/a/victim//',
      '//admin.example/victim',
      '/%252e%252e/victim',
      '/a/%252E/victim',
      '/a%252fvictim',
      '/a%252Fvictim',
      '/a%255cvictim',
      '/victim#fragment',
      '/victim?q#fragment',
      '/#',
      '/v\xefctim',
      '/victim?\xe4',
      '/victim\x7f',
      '/vic\0tim',
      '/vic\x0btim',
      '/vic\ttim',
      '/victim?a\0b',
      '/victim?a\tb',
      '/victim?a\x0cb',
      '/victim\x01',
    ].map((target): Row => [`target ${JSON.stringify(target)}`, get(target)]),
    ['dot segments in absolute-form', get(`http://${HOST}/a/../victim`)],
    ['a doubled slash in absolute-form', get(`http://${HOST}//victim`)],
  ],
)

const LIMITS = [
  ...head(
    ['target_too_long', 'head_too_large'],
    [['a request line without an end', `GET /${'a'.repeat(40_000)}`]],
  ),
  ...head(
    ['target_too_long'],
    [
      ['a target of 9,000 bytes', get(`/${'a'.repeat(9000)}`)],
      ['a query of 9,000 bytes', get(`/victim?${'a'.repeat(9000)}`)],
    ],
  ),
  ...head(
    ['head_too_large'],
    [
      ['one field of 40,000 bytes', get('/victim', `X: ${'a'.repeat(40_000)}`)],
      [
        'fields without an end',
        `GET /victim HTTP/1.1\r\nHost: ${HOST}\r\n${'X: y\r\n'.repeat(7000)}`,
      ],
      ['101 fields', get('/victim', ...Array.from({ length: 101 }, (_, i) => `X-${i}: 1`))],
    ],
  ),
]

const CONNECTIONS = [
  ...head(
    ['bad_connection'],
    [
      ...[
        'Host',
        'host',
        'Authorization',
        'Cookie',
        'Content-Length',
        'Transfer-Encoding',
        'Forwarded',
        'X-Forwarded-For',
        'X-Forwarded-Proto',
        'X-Forwarded-Host',
        'x_forwarded_for',
        'close, Host',
        'keep-alive, Cookie',
        'upgrade, Authorization',
        'a b',
        'clo\xdfe',
        '"close"',
        'close;q=1',
      ].map(
        (value): Row => [
          `Connection: ${JSON.stringify(value)}`,
          get('/victim', `Connection: ${value}`, 'Upgrade: websocket'),
        ],
      ),
      [
        'a protected name in a second Connection',
        get('/victim', 'Connection: X-A', 'Connection: Cookie'),
      ],
    ],
  ),
  ...head(
    ['expectation_failed'],
    [
      ['an unknown expectation', post(['Expect: 200-ok', 'Content-Length: 5'], 'hello')],
      ['two expectations', post(['Expect: 100-continue, x', 'Content-Length: 5'], 'hello')],
    ],
  ),
]

function chunked(name: string, body: string): RefusedCase {
  return { name, bytes: post([CHUNKED], body), codes: ['bad_chunk'], where: 'body' }
}

const CHUNK_SIZES = [
  '',
  ' ',
  ' 5',
  '5 ',
  '5\t',
  '\t5',
  '+5',
  '-5',
  '-0',
  '0x5',
  '0X5',
  '5h',
  'g',
  '5,',
  '5 5',
  '"5"',
  '\0',
  '5\0',
  '5\x0b',
  '\xb5',
  '0000000000000005',
  '0'.repeat(1000),
  'ffffffffffffffff',
  '10000000000000000',
  'fffffffffffffffffffffffffffffffff',
  '10000000000000005',
  '5;a\x00b',
  '5;a\x7fb',
  '5;a\nb',
  '5;a\rb',
  '5\r;a',
  `5;${'a'.repeat(2000)}`,
  `5 ;a`,
]

const CHUNKS: RefusedCase[] = [
  ...CHUNK_SIZES.map((size) =>
    chunked(`chunk size ${JSON.stringify(size.slice(0, 40))}`, `${size}\r\nhello\r\n0\r\n\r\n`),
  ),
  chunked('many small chunk extensions', `${`1;${'a'.repeat(60)}\r\nx\r\n`.repeat(30)}0\r\n\r\n`),
  chunked('LF alone after the size', '5\nhello\r\n0\r\n\r\n'),
  chunked('LF alone after the data', '5\r\nhello\n0\r\n\r\n'),
  chunked('LF alone in all of a body', '5\nhello\n0\n\n'),
  chunked('CR alone after the size', '5\rhello\r\n0\r\n\r\n'),
  chunked('CR alone after the data', '5\r\nhello\r0\r\n\r\n'),
  chunked('nothing after the data', '5\r\nhello0\r\n\r\n'),
  chunked('data longer than its size', '5\r\nhello world\r\n0\r\n\r\n'),
  chunked('data shorter than its size', '8\r\nhello\r\n0\r\n\r\n'),
  chunked('an empty line before the next size', '5\r\nhello\r\n\r\n0\r\n\r\n'),
  chunked('LF alone after the last chunk', '5\r\nhello\r\n0\n\r\n'),
  chunked('LF alone as the last line', '5\r\nhello\r\n0\r\n\n'),
  chunked('a last chunk that is negative', '5\r\nhello\r\n-0\r\n\r\n'),
  chunked('a trailer without a colon', '0\r\nX\r\n\r\n'),
  chunked('a trailer without a name', '0\r\n: 1\r\n\r\n'),
  chunked('a folded trailer', '0\r\nX: 1\r\n folded\r\n\r\n'),
  chunked('a trailer with a space before its colon', '0\r\nX : 1\r\n\r\n'),
  chunked('a trailer with NUL', '0\r\nX: a\0b\r\n\r\n'),
  chunked('a trailer with a bare CR', '0\r\nX: a\rb\r\n\r\n'),
  chunked('a trailer ended by LF', '0\r\nX: 1\nY: 2\r\n\r\n'),
  chunked('a trailer name with an obs-text byte', '0\r\nX\xe4: 1\r\n\r\n'),
  chunked('trailers of 10,000 bytes', `0\r\nX: ${'a'.repeat(10_000)}\r\n\r\n`),
  chunked('a request in the place of trailers', `0\r\n${get('/smuggled-trailer')}`),
]

/** Every request that is refused. */
export const REFUSED: readonly RefusedCase[] = [
  ...LINE_ENDS,
  ...FIELDS,
  ...FOLDED_FRAMING,
  ...LENGTHS,
  ...CODINGS,
  ...HOSTS,
  ...METHODS_AND_VERSIONS,
  ...REQUEST_LINES,
  ...TARGETS,
  ...LIMITS,
  ...CONNECTIONS,
  ...CHUNKS,
]
