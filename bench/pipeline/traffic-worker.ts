// The thread behind traffic.ts. Raw sockets and constant bytes: what arrives at the gateway is the
// same in every run.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { parentPort } from 'node:worker_threads'
import type { TrafficOrder } from './traffic.ts'

const connections = 8
const body = '{"id":1,"name":"Moka pot","price":34.5}'
const answer = [
  'HTTP/1.1 200 OK',
  'Content-Type: application/json',
  `Content-Length: ${body.length}`,
  'Server: upstream',
  '',
  body,
].join('\r\n')
const request = [
  'GET /api/products/1?currency=eur HTTP/1.1',
  'Host: shop.example',
  'User-Agent: bench/1.0',
  'Accept: application/json',
  'Accept-Encoding: gzip',
  'Origin: http://localhost:3000',
  '',
  '',
].join('\r\n')

const upstream = createServer({ noDelay: true }, (socket) => {
  socket.on('data', () => socket.write(answer))
  socket.on('error', () => {})
})
upstream.listen(0, '127.0.0.1')
await once(upstream, 'listening')
parentPort!.on('message', ({ port, requests }: TrafficOrder) => {
  send(port, requests).then(
    () => parentPort!.postMessage(null),
    (error: Error) => parentPort!.postMessage(error.message),
  )
})
parentPort!.postMessage((upstream.address() as AddressInfo).port)

let clients: Socket[] = []

async function send(port: number, requests: number): Promise<void> {
  if (clients.length === 0)
    clients = await Promise.all(Array.from({ length: connections }, () => dial(port)))
  await Promise.all(clients.map((client) => exchange(client, requests / connections)))
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** Sends requests one after the other; each answer comes in one piece, for it is small. */
function exchange(socket: Socket, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = count
    const settle = (error?: Error) => {
      socket.removeAllListeners()
      if (error) reject(error)
      else resolve()
    }
    socket.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1', 9, 12) !== '200') settle(new Error(chunk.toString()))
      else if (--left === 0) settle()
      else socket.write(request)
    })
    socket.on('error', settle)
    socket.on('close', () => settle(new Error('the gateway closed a connection')))
    socket.write(request)
  })
}
