// Requests whose body two parsers could measure differently, and those beyond a bound.
import { get, HOST, post, type RefusedCase, type Row, refusedHeads } from './refused-case.ts'

const CHUNKED = 'Transfer-Encoding: chunked'

const FOLDED_FRAMING = refusedHeads(
  ['bad_header', 'bad_framing'],
  [
    ['a folded Transfer-Encoding', post(['Transfer-Encoding:', ' chunked'], '0\r\n\r\n')],
    ['a folded Content-Length', post(['Content-Length:', '\t5'], 'hello')],
  ],
)

const LENGTHS = refusedHeads(
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

const CODINGS = refusedHeads(
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
const LIMITS = [
  ...refusedHeads(
    ['target_too_long', 'head_too_large'],
    [['a request line without an end', `GET /${'a'.repeat(40_000)}`]],
  ),
  ...refusedHeads(
    ['target_too_long'],
    [
      ['a target of 9,000 bytes', get(`/${'a'.repeat(9000)}`)],
      ['a query of 9,000 bytes', get(`/victim?${'a'.repeat(9000)}`)],
    ],
  ),
  ...refusedHeads(
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
/** Refused for their framing or size. */
export const REFUSED_FRAMING: readonly RefusedCase[] = [
  ...FOLDED_FRAMING,
  ...LENGTHS,
  ...CODINGS,
  ...LIMITS,
  ...CHUNKS,
]
