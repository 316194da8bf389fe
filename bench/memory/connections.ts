// What open connections cost: bytes of resident memory for each idle keep-alive connection, and for
// each open WebSocket. Prints both; run it on a quiet machine with `npm run bench:memory`.
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, start, stop } from '../load/processes.ts'

const IDLE_CONNECTIONS = 5_000
const WEB_SOCKETS = 1_000
/** Connections opened at once: fewer than any accept queue holds. */
const BATCH = 100

const root = join(import.meta.dirname, '../..')

/** Answers every request with 200, or with 101 where an upgrade is asked for, and keeps still. */
function startUpstream(): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      const upgrades = data.includes('Upgrade: websocket')
      socket.write(
        upgrades
          ? 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
          : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      )
    })
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

/** Opens a connection, sends the request and resolves when its answer has come. */
async function open(port: number, request: string): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(request)
  await once(socket, 'data')
  return socket
}

async function openMany(port: number, count: number, request: string): Promise<net.Socket[]> {
  const sockets: net.Socket[] = []
  while (sockets.length < count) {
    const size = Math.min(BATCH, count - sockets.length)
    sockets.push(...(await Promise.all(Array.from({ length: size }, () => open(port, request)))))
  }
  return sockets
}

/** Resident bytes of a process and its children. */
function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const own = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')
  return children.filter(Boolean).reduce((sum, child) => sum + residentBytes(Number(child)), own)
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Bytes of memory that each of `count` connections adds. */
async function measure(pid: number, port: number, count: number, request: string): Promise<number> {
  // A few first, so that what is grown once is not counted; not more, or their memory is used again.
  for (const socket of await openMany(port, BATCH, request)) socket.destroy()
  await pause(3_000)
  const before = residentBytes(pid)
  const sockets = await openMany(port, count, request)
  await pause(3_000)
  const bytes = (residentBytes(pid) - before) / count
  for (const socket of sockets) socket.destroy()
  await pause(1_000)
  return bytes
}

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-memory-'))
const upstream = await startUpstream()
const port = await freePort()
const file = join(folder, 'gatehouse.json')
writeFileSync(
  file,
  JSON.stringify({
    listen: `http://127.0.0.1:${port}`,
    admin: false,
    threads: 1,
    services: { app: `http://127.0.0.1:${(upstream.address() as net.AddressInfo).port}` },
    routes: [{ path: '/*', to: 'app' }],
  }),
)
const head = 'GET / HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n'
const upgrade = `${head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
const kinds = [
  { name: 'idle keep-alive connection', count: IDLE_CONNECTIONS, request: `${head}\r\n` },
  { name: 'open WebSocket, both sides', count: WEB_SOCKETS, request: upgrade },
]
for (const { name, count, request } of kinds) {
  // A gateway for each: what one kind gave back would hide what the next takes.
  const args = [join(root, 'src/main.ts'), 'run', file]
  const gateway = await start({ program: process.execPath, args }, folder, port)
  try {
    const bytes = await measure(gateway.pid!, port, count, request)
    console.log(`${name}: ${Math.round(bytes)} bytes (${count} open)`)
  } finally {
    await stop(gateway)
  }
}
upstream.close()
rmSync(folder, { recursive: true, force: true })
process.exit(0)
