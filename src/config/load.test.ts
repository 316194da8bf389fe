import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { loadDocument } from './load.ts'
import type { Problem } from './problem.ts'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-load-'))
after(() => rmSync(directory, { recursive: true }))

let count = 0
async function load(text: string) {
  const file = join(directory, `${++count}.yaml`)
  writeFileSync(file, text)
  return loadDocument(file, { env: {} })
}

/** `¦` in the text marks where each problem must be, in the order of the patterns. */
function wrong(title: string, marked: string, ...patterns: RegExp[]): void {
  test(title, async () => {
    const places: string[] = []
    const lines = marked.split('\n').map((line, index) => {
      let rest = line
      for (let at = rest.indexOf('¦'); at >= 0; at = rest.indexOf('¦')) {
        places.push(`${index + 1}:${at + 1}`)
        rest = rest.slice(0, at) + rest.slice(at + 1)
      }
      return rest
    })
    const { document, problems } = await load(lines.join('\n'))
    const found = problems.map((problem) => `${problem.line}:${problem.column}`)
    const texts = problems.map(textOf)
    assert.deepEqual(found, places, texts.join('\n'))
    for (const [index, pattern] of patterns.entries()) assert.match(texts[index] ?? '', pattern)
    assert.equal(
      document === null,
      problems.some(({ severity }) => severity === 'error'),
    )
  })
}

function textOf({ severity, path, message, expected, suggestion }: Problem): string {
  const hint = suggestion === undefined ? '' : ` [${suggestion}]`
  return `${severity} ${path}: ${message}${expected === undefined ? '' : ` (${expected})`}${hint}`
}

const BASE = `listen: http://127.0.0.1:8080
services:
  users: http://127.0.0.1:4001
`

describe('text that is not YAML', () => {
  wrong(
    'ends at the first place where the parser is lost',
    'listen: "x\nroutes: [\n¦',
    /not valid YAML/,
  )
  wrong('has a key twice', `${BASE}¦listen: http://127.0.0.1:1\nroutes: []`, /second time/)
  wrong('is indented by tabs', `routes:\n¦\t- path: /\n`, /use spaces/)
  wrong(
    'has a brace in a flow map',
    `routes:\n  - { path: /users/¦{id}, to: users }`,
    /must stand in quotes/,
  )
  wrong(
    'begins with a star',
    `routes:\n  - { host: ¦*.example.com, to: users }`,
    /must stand in quotes/,
  )
  wrong('holds a second document', `${BASE}¦---\na: 1\n`, /one configuration/)
  wrong('is empty', '¦', /the file is empty.*listen/)
  wrong('is a list', '¦- a', /not a configuration/)

  test('aliases that multiply without end are refused, quickly', async () => {
    const rows = ['a0: &a0 [1,1,1,1,1,1,1,1,1,1]']
    for (let i = 1; i < 12; i++)
      rows.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(',')}]`,
      )
    const { document, problems } = await load(rows.join('\n'))
    assert.equal(document, null)
    assert.match(problems[0]!.message, /alias/i)
  })

  test('a file that is not there is a problem, not an exception', async () => {
    const { problems } = await loadDocument(join(directory, 'absent.yaml'))
    assert.match(textOf(problems[0]!), /no such file/)
  })
})

describe('what the schema refuses', () => {
  wrong(
    'unknown keys, with what was meant',
    `${BASE}¦polices: {}
routes:
  - { path: /a, ¦too: users }
  - { match: { path: /b, ¦metods: [GET] }, to: users }`,
    /no setting "polices".*\[policies\]/,
    /no setting "too".*\[to\]/,
    /routes\[1\]\.match\.metods.*\[methods\]/,
  )
  wrong(
    'numbers without units, and wrong ones',
    `listen: http://127.0.0.1:8080
limits: { headTimeout: ¦10, bodyBytes: ¦5x, headBytes: ¦1b, headers: ¦0 }
routes:
  - { to: http://127.0.0.1:1, timeouts: { response: ¦5 } }`,
    /a number does not fit here.*ms, s, m, h or d/,
    /kb, mb or gb/,
    /must be 1kb or more/,
    /must be 1 or more/,
    /ms, s, m, h or d/,
  )
  wrong(
    'values outside a choice, with what was meant',
    `${BASE}threads: ¦many
log: { level: ¦inf }
routes:
  - { path: /a, redirect: { to: /b, status: ¦305 } }
  - { path: /b, to: users, encodedSlash: ¦rejct }`,
    /auto, or a number/,
    /one of debug, info, warn, error.*\[info\]/,
    /301, or 302/,
    /\[reject\]/,
  )
  wrong(
    'addresses that are none',
    `listen: [¦127.0.0.1:8080, ¦ftp://a, ¦http://127.0.0.1:70000]
routes:
  - { to: ¦http://127.0.0.1:1/base }
`,
    /no scheme/,
    /not a URL/,
    /between 0 and 65535/,
    /rewrite: \{ prefix: \/base \}/,
  )
  wrong(
    'user names in URLs, and hosts that are none',
    `listen: http://127.0.0.1:8080
services:
  a: ¦http://me:secret@127.0.0.1
  b: ¦http://1.2.3.999
routes:
  - { to: a, host: ¦"a:80" }`,
    /user name or password/,
    /no valid host/,
    /no port/,
  )
  wrong(
    'a service with too little, too much, or both kinds of endpoints',
    `listen: http://127.0.0.1:8080
services:
  none: ¦{}
  both: ¦{ url: http://127.0.0.1:1, endpoints: [http://127.0.0.1:2] }
  mixed: ¦{ endpoints: [http://127.0.0.1:1, https://127.0.0.1:2] }
  short: ¦{ url: http://127.0.0.1:1, timeout: 1s, timeouts: { response: 2s } }
  tls: ¦{ url: http://127.0.0.1:1, tls: {} }
  hash: { url: http://127.0.0.1:1, balance: { hash: ¦{ by: header } } }
  sticky: { url: http://127.0.0.1:1, sticky: { secret: ¦short } }
routes:
  - { to: none }`,
    /either `url`, `endpoints` or `discover`/,
    /either `url`, `endpoints` or `discover`/,
    /all http or all https/,
    /say the same/,
    /endpoints are http/,
    /needs the `name` of the header/,
    /32 characters/,
  )
  wrong(
    'routes that lead nowhere, or to several places',
    `${BASE}routes:
  - ¦{ path: /a }
  - ¦{ path: /b, to: users, redirect: { to: /c } }
  - { path: /c, redirect: { to: /d }, ¦rewrite: { stripPrefix: true } }
  - ¦{ path: /d, match: { path: /e }, to: users }
  - { path: /f/*, to: users, rewrite: ¦{ stripPrefix: true, prefix: /x } }
  - { path: /g, to: users, upgrade: [¦h2c] }
  - { path: /h, respond: ¦{ body: a, json: b } }
  - ¦{ path: /i, to: users, sticky: { cookie: a } }`,
    /leads nowhere/,
    /one target only/,
    /no meaning without `to`/,
    /both on the route and under `match`/,
    /only one of/,
    /h2c never passes/,
    /not both/,
    /several services/,
  )
  wrong(
    'patterns and conditions that do not compile',
    `${BASE}routes:
  - { path: ¦users, to: users }
  - { path: ¦"/a/{b", to: users }
  - { path: ¦"~ ^/(", to: users }
  - { path: /c, headers: { x-a: { regex: ¦"(?=a)" } }, to: users }
  - { path: /d, clientIp: ¦10.0.0.0/40, to: users }
  - { path: /e, methods: [¦get], to: users }`,
    /begins with "\/"/,
    /a parameter is a whole segment/,
    /missing closing/,
    /linear time/,
    /not an IP address or network/,
    /upper case/,
  )
  wrong(
    'an admin API that others can reach',
    `${BASE}admin: ¦{ listen: http://0.0.0.0:9901 }
routes: [{ to: users }]`,
    /no password.*allowRemote/,
  )
  wrong(
    'https without a certificate, and a certificate without https',
    `listen: [¦https://127.0.0.1:1, ¦{ url: https://127.0.0.1:2 }]
routes: [{ to: http://127.0.0.1:1 }]`,
    /needs `tls`/,
    /needs `tls`/,
  )
})

describe('what fits each part but not the whole', () => {
  wrong(
    'services that are not there',
    `${BASE}routes:
  - { path: /a, to: ¦user }
  - path: /b
    to: [{ service: users }, { service: ¦nowhere }]`,
    /no service named "user".*\[users\]/,
    /no service named "nowhere"/,
  )
  wrong(
    'services and policies that nothing uses, as warnings',
    `${BASE}  ¦orders: http://127.0.0.1:4002
policies:
  ¦small: { body-limit: { max: 1kb } }
routes: [{ to: users }]`,
    /^warning services\.orders: no route leads to/,
    /^warning policies\.small: nothing uses/,
  )
  wrong(
    'routes that nothing separates, and routes that none reaches',
    `${BASE}routes:
  - { path: /a, id: first, to: users }
  - { path: ¦/a, to: users }
  - { path: /b, id: twice, to: users }
  - { path: /c, id: ¦twice, to: users }
  - { path: /d, priority: 1, to: users }
  - { path: ¦/d, to: users }`,
    /error routes\[1\]\.path: nothing separates this route from "first" \(routes\[0\]\)/,
    /another route has the id "twice"/,
    /warning routes\[5\]\.path: no request reaches this route/,
  )
  wrong(
    'templates without their parameter, and prefixes that are none',
    `${BASE}routes:
  - { path: '/a/{id}', to: users, rewrite: { path: ¦'/b/{ids}' } }
  - { path: /b, redirect: { to: ¦'/c/{id}' } }
  - { path: /c, to: users, rewrite: { stripPrefix: ¦true } }
  - { path: /d, to: users, rewrite: { prefix: ¦/x } }`,
    /no parameter \{ids\}.*\[\{id\}\]/,
    /no parameter \{id\}/,
    /`stripPrefix` rewrites what stands before/,
    /`prefix` rewrites what stands before/,
  )
  wrong(
    'policies that are not there, in every place',
    `${BASE}policies:
  a: ¦b
  ¦cors: { cors: { origins: '*' } }
use: [¦request-idd, { ¦corz: {} }, ¦{ when: 'true' }, ¦cors]
routes:
  - { to: users, use: [{ body-limit: {}, ¦headers: {} }] }`,
    /no policy named "b"/,
    /the name of a policy itself/,
    /no policy named "request-idd".*\[request-id\]/,
    /no policy named "corz".*\[cors\]/,
    /no policy is named here/,
    /needs settings: origins/,
    /one entry uses one policy/,
  )
  wrong(
    'settings of policies, wherever the policy is used',
    `${BASE}policies:
  small: { body-limit: { ¦mx: 1kb } }
use: [{ body-limit: { max: ¦5 } }]
routes:
  - { to: users, use: [small, { cors: { origins: '*', credentials: ¦true }, mode: ¦shadw }] }`,
    /policies\.small\.body-limit\.mx.*\[max\]/,
    /use\[0\]\.body-limit\.max/,
    /credentials/,
    /\[shadow\]/,
  )
  wrong(
    'conditions that are not CEL, or ask for what there is not',
    `${BASE}use: [{ request-id: {}, when: ¦"request.methd == 'GET'" }]
policies:
  p: { request-id: {}, when: ¦'((' }
routes: [{ to: users, use: [p, request-id] }]`,
    /condition is not valid.*methd/,
    /policies\.p\.when: the condition is not valid/,
  )
  wrong(
    'listeners in one place, endpoints twice, a bound that hides another',
    `listen: [http://127.0.0.1:8080, ¦http://127.0.0.1:8080]
admin: { listen: ¦http://127.0.0.1:8080 }
services:
  a:
    endpoints: [http://127.0.0.1:1, ¦http://127.0.0.1:1]
    timeouts: { exchange: ¦1s }
  b: { url: https://127.0.0.1:2, tls: { verify: ¦false } }
  c: { url: http://127.0.0.1:2, sticky: { secret: ¦0123456789abcdef0123456789abcdef } }
routes:
  - { path: /a, to: a }
  - { path: /b, to: b, timeouts: { exchange: ¦2s } }
  - { path: /c, to: c }`,
    /another listener/,
    /admin API listens/,
    /stands here twice/,
    /ends after 1s, so the response timeout of 30s/,
    /not verified/,
    /a secret stands in the file/,
    /ends after 2s/,
  )
  wrong(
    'more policies on a route than can run',
    `${BASE}use: [${Array(20).fill('request-id').join(', ')}]
routes: [{ to: users, use: ¦[${Array(11).fill('request-id').join(', ')}] }]`,
    /31 policies.*30 or fewer/,
  )

  wrong(
    'several things in one route, and in one service',
    `listen: http://127.0.0.1:8080
services:
  a: { url: http://127.0.0.1:1, timeout: ¦5, retries: { attempts: ¦9 } }
routes:
  - { path: ¦users, methods: [¦get], use: [¦request-idd, { cors: ¦{} }], to: ¦b }
  - { match: { path: ¦users }, to: ¦c, rewrite: { stripPrefix: true } }
  - { path: /d, to: ¦5 }`,
    /does not fit/,
    /5 or less/,
    /begins with/,
    /upper case/,
    /request-idd/,
    /`origins` is missing/,
    /no service named "b"/,
    /begins with/,
    /no service named "c"/,
    /does not fit/,
  )

  test('everything is reported at once, in the order of the file', async () => {
    const { problems } = await load(`listen: http://127.0.0.1:8080/x
services: { a: http://127.0.0.1:1/b, ok: http://127.0.0.1:2 }
routes:
  - { path: /a, to: a }
  - { path: /b, to: okk }
  - { path: /c, tp: ok }
  - { path: '/d/{x}', to: ok, rewrite: { path: '/{y}' } }`)
    assert.deepEqual(
      problems.map(({ path }) => path),
      ['listen', 'services.a', 'routes[1].to', 'routes[2].tp', 'routes[3].rewrite.path'],
    )
  })
})
