// What a person writes first: node:http in front, http.request behind, pipes between them.
import { Agent, createServer, request } from 'node:http'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
const agent = new Agent({ keepAlive: true, maxSockets: 256 })

const server = createServer((incoming, outgoing) => {
  const { method, url, headers } = incoming
  const onward = { host: '127.0.0.1', port: upstreamPort, agent, method, path: url, headers }
  const forwarded = request(onward, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(outgoing)
  })
  forwarded.on('error', () => outgoing.destroy())
  incoming.pipe(forwarded)
})
server.listen(port, '127.0.0.1')
