// What a person writes next: node:http in front, a pool of undici behind.
import { createServer } from 'node:http'
import { Readable } from 'node:stream'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
const library: string = 'undici'
const { Pool } = (await import(library)) as typeof import('undici-types')
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 256 })

const server = createServer(async (incoming, outgoing) => {
  const { method = 'GET', url = '/', headers } = incoming
  // undici frames the message itself; hop-by-hop fields are not its caller's.
  const {
    connection: _,
    'keep-alive': __,
    'transfer-encoding': ___,
    expect: ____,
    ...rest
  } = headers
  const hasBody = method !== 'GET' && method !== 'HEAD'
  try {
    const answer = await pool.request({
      method: method as 'GET',
      path: url,
      headers: rest,
      body: hasBody ? Readable.from(incoming) : null,
    })
    outgoing.writeHead(answer.statusCode, answer.headers)
    answer.body.pipe(outgoing)
  } catch {
    outgoing.destroy()
  }
})
server.listen(port, '127.0.0.1')
