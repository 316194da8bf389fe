// Answers of services that are no valid HTTP, end too early, or do not end where they should. Each is
// what the service writes in answer to one request, and what it does then.

/** What the service does after its bytes. */
export type Ending = 'keep' | 'end' | 'reset'

/** One bad answer. */
export interface AnswerCase {
  readonly name: string
  readonly bytes: string
  readonly ending: Ending
  /** Codes that the client may get in a 502; the first byte of the head decides. */
  readonly codes: readonly string[]
  /**
   * True where a head came that may have been passed on before the fault showed: then the client may
   * see an answer that is cut off, though never one that ends properly.
   */
  readonly mayBegin: boolean
}

type Row = readonly [name: string, bytes: string, ending?: Ending]

const INVALID = ['upstream_invalid']
const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`

function invalid(rows: readonly Row[]): AnswerCase[] {
  return rows.map(([name, bytes, ending]) => ({
    name,
    bytes,
    ending: ending ?? 'keep',
    codes: INVALID,
    mayBegin: false,
  }))
}

function broken(codes: readonly string[], rows: readonly Row[]): AnswerCase[] {
  return rows.map(([name, bytes, ending]) => ({
    name,
    bytes,
    ending: ending ?? 'keep',
    codes,
    mayBegin: true,
  }))
}

const LENGTHS = [
  '+5',
  '-5',
  '-1',
  '0x5',
  '5,5',
  '5, 5',
  '5, 6',
  '5 5',
  'five',
  '',
  '9007199254740992',
  '18446744073709551616',
  '5.0',
]
const CODINGS = [
  'gzip',
  'identity',
  'chunked, chunked',
  'gzip, chunked',
  'chunked, gzip',
  'xchunked',
  '"chunked"',
  '',
  'chunked;q=1',
]
const CONTROLS = ['\0', '\x01', '\x0b', '\x0c', '\x1b', '\x7f']

/** Heads with more than one meaning, or none. */
const HEADS = invalid([
  [
    'Content-Length, then Transfer-Encoding',
    `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'Transfer-Encoding, then Content-Length',
    `${OK}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ],
  ['Content-Length twice, unequal', `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`],
  ['Content-Length twice, equal', `${OK}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`],
  [
    'Transfer-Encoding twice',
    `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ...LENGTHS.map(
    (value): Row => [
      `Content-Length: ${JSON.stringify(value)}`,
      `${OK}Content-Length: ${value}\r\n\r\nhello`,
    ],
  ),
  ...CODINGS.map(
    (value): Row => [
      `Transfer-Encoding: ${JSON.stringify(value)}`,
      `${OK}Transfer-Encoding: ${value}\r\n\r\n0\r\n\r\n`,
    ],
  ),
  ...CONTROLS.map(
    (byte): Row => [
      `byte ${byte.charCodeAt(0)} in a value`,
      `${OK}X: a${byte}b\r\nContent-Length: 0\r\n\r\n`,
    ],
  ),
  ['a space before the colon', `${OK}Content-Length : 5\r\n\r\nhello`],
  ['a folded value', `${OK}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`],
  ['a folded Transfer-Encoding', `${OK}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`],
  ['no colon', `${OK}Nonsense\r\nContent-Length: 0\r\n\r\n`],
  ['no name', `${OK}: x\r\nContent-Length: 0\r\n\r\n`],
  ['a bare CR in a value', `${OK}X: a\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n`],
  ['a bare LF in a value', `${OK}X: a\nSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n`],
  ['LF alone throughout', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
  ['LF alone after the status line', 'HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok'],
  ['an empty line before the status line', `\r\n${OK}Content-Length: 0\r\n\r\n`],
  ['HTTP/2', 'HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['http/1.1', 'http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['HTTP/0.9', '<html>hello</html>', 'end'],
  ['an ICY answer', 'ICY 200 OK\r\n\r\n'],
  ['a status without a version', '200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status that is no number', 'HTTP/1.1 abc OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['a negative status', 'HTTP/1.1 -20 OK\r\n\r\n'],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a tab before the status', 'HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['NUL in the reason', 'HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n'],
  ['random bytes', '\x8f\x12\xa0\x00\xff\xfe\r\n\r\n'],
  ['a TLS record', '\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03', 'end'],
  ['a request for an answer', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an SSH banner', 'SSH-2.0-OpenSSH_9.2\r\n', 'end'],
  ['a flood of interim answers', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(200)],
  [
    '300 fields',
    `${OK}${Array.from({ length: 300 }, (_, i) => `X-${i}: 1\r\n`).join('')}Content-Length: 0\r\n\r\n`,
  ],
])

const OTHERS: AnswerCase[] = [
  {
    name: 'a field of 70,000 bytes',
    bytes: `${OK}X: ${'a'.repeat(70_000)}\r\n\r\n`,
    ending: 'keep',
    codes: ['upstream_head_too_large'],
    mayBegin: false,
  },
  {
    name: 'a head without an end',
    bytes: `${OK}X: ${'a'.repeat(90_000)}`,
    ending: 'keep',
    codes: ['upstream_head_too_large'],
    mayBegin: false,
  },
  {
    name: '101 without a request to upgrade',
    bytes: 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ending: 'keep',
    codes: ['upstream_upgrade_failed', 'upstream_invalid'],
    mayBegin: false,
  },
  {
    name: 'an end before the head',
    bytes: '',
    ending: 'end',
    codes: ['upstream_closed'],
    mayBegin: false,
  },
  {
    name: 'a reset before the head',
    bytes: '',
    ending: 'reset',
    codes: ['upstream_reset', 'upstream_closed'],
    mayBegin: false,
  },
  {
    name: 'an end within the status line',
    bytes: 'HTTP/1.1 20',
    ending: 'end',
    codes: ['upstream_closed'],
    mayBegin: false,
  },
  {
    name: 'an end within the head',
    bytes: `${OK}Content-Le`,
    ending: 'end',
    codes: ['upstream_closed'],
    mayBegin: false,
  },
  {
    name: 'a reset within the head',
    bytes: `${OK}Content-Le`,
    ending: 'reset',
    codes: ['upstream_reset', 'upstream_closed'],
    mayBegin: false,
  },
  {
    name: 'an end after an interim answer',
    bytes: 'HTTP/1.1 103 Early Hints\r\n\r\n',
    ending: 'end',
    codes: ['upstream_closed'],
    mayBegin: false,
  },
]

/** Bodies that break after a head that was right. */
const BODIES = broken(
  ['upstream_truncated', 'upstream_invalid', 'upstream_reset'],
  [
    ['an end before the body', `${OK}Content-Length: 5\r\n\r\n`, 'end'],
    ['an end within the body', `${OK}Content-Length: 5\r\n\r\nhel`, 'end'],
    ['a reset within the body', `${OK}Content-Length: 5\r\n\r\nhel`, 'reset'],
    ['an end before the first chunk', CHUNKED, 'end'],
    ['an end within a chunk size', `${CHUNKED}5`, 'end'],
    ['an end within a chunk', `${CHUNKED}5\r\nhel`, 'end'],
    ['a reset within a chunk', `${CHUNKED}5\r\nhel`, 'reset'],
    ['an end after a chunk', `${CHUNKED}5\r\nhello\r\n`, 'end'],
    ['an end within the last chunk', `${CHUNKED}5\r\nhello\r\n0\r\n`, 'end'],
    ['an end within the trailers', `${CHUNKED}5\r\nhello\r\n0\r\nETag: "a"\r\n`, 'end'],
    ['a bad chunk size', `${CHUNKED}5\r\nhello\r\nzz\r\n`],
    ['a negative chunk size', `${CHUNKED}-5\r\nhello\r\n0\r\n\r\n`],
    ['a chunk size with 0x', `${CHUNKED}0x5\r\nhello\r\n0\r\n\r\n`],
    ['a huge chunk size', `${CHUNKED}ffffffffffffffffff\r\nhello\r\n0\r\n\r\n`],
    ['a space after the chunk size', `${CHUNKED}5 \r\nhello\r\n0\r\n\r\n`],
    ['LF alone after the chunk size', `${CHUNKED}5\nhello\r\n0\r\n\r\n`],
    ['nothing after the data', `${CHUNKED}5\r\nhello0\r\n\r\n`],
    ['data longer than its size', `${CHUNKED}5\r\nhello world\r\n0\r\n\r\n`],
    ['LF alone after the last chunk', `${CHUNKED}5\r\nhello\r\n0\n\n`],
    ['a malformed trailer', `${CHUNKED}5\r\nhello\r\n0\r\nNo colon\r\n\r\n`],
    ['a folded trailer', `${CHUNKED}5\r\nhello\r\n0\r\nX: 1\r\n y\r\n\r\n`],
    ['a chunk extension of 5,000 bytes', `${CHUNKED}5;${'a'.repeat(5000)}\r\nhello\r\n0\r\n\r\n`],
    ['trailers of 20,000 bytes', `${CHUNKED}5\r\nhello\r\n0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
  ],
)

/** Every answer that must not reach a client as a good one. */
export const BAD_ANSWERS: readonly AnswerCase[] = [...HEADS, ...OTHERS, ...BODIES]

/** An answer that is good, with more behind it than was asked for. */
export interface SurplusCase {
  readonly name: string
  /** Sent in one piece: the answer with the body `right`, and the surplus. */
  readonly bytes: string
  readonly method: 'GET' | 'HEAD'
  readonly status: number
  readonly body: string
}

const EVIL = `${OK}Content-Length: 4\r\n\r\nevil`

/** What follows a complete answer belongs to nobody. */
export const SURPLUS: readonly SurplusCase[] = [
  {
    name: 'a second answer behind a length',
    bytes: `${OK}Content-Length: 5\r\n\r\nright${EVIL}`,
    method: 'GET',
    status: 200,
    body: 'right',
  },
  {
    name: 'a second answer behind the last chunk',
    bytes: `${CHUNKED}5\r\nright\r\n0\r\n\r\n${EVIL}`,
    method: 'GET',
    status: 200,
    body: 'right',
  },
  {
    name: 'a second answer behind a 204',
    bytes: `HTTP/1.1 204 No Content\r\n\r\n${EVIL}`,
    method: 'GET',
    status: 204,
    body: '',
  },
  {
    name: 'a body behind a 204',
    bytes: 'HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil',
    method: 'GET',
    status: 204,
    body: '',
  },
  {
    name: 'a second answer behind a 304',
    bytes: `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n${EVIL}`,
    method: 'GET',
    status: 304,
    body: '',
  },
  {
    name: 'a body behind the answer to HEAD',
    bytes: `${OK}Content-Length: 5\r\n\r\nright`,
    method: 'HEAD',
    status: 200,
    body: '',
  },
  {
    name: 'a second answer behind the answer to HEAD',
    bytes: `${OK}Content-Length: 5\r\n\r\n${EVIL}`,
    method: 'HEAD',
    status: 200,
    body: '',
  },
  {
    name: 'more data than the length says',
    bytes: `${OK}Content-Length: 5\r\n\r\nright and more`,
    method: 'GET',
    status: 200,
    body: 'right',
  },
  {
    name: 'a line break behind the answer',
    bytes: `${OK}Content-Length: 5\r\n\r\nright\r\n`,
    method: 'GET',
    status: 200,
    body: 'right',
  },
]
