// needs: curl
// The shop as a person meets it: started, tried with the lines on its screen, ended with Ctrl-C.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { familyOf, isAlive } from '../../scripts/process-tree.ts'

const shell = promisify(execFile)

interface Shop {
  process: ChildProcess
  url: string
  /** What it has printed so far. */
  screen: () => string
  /** The lines that it asks a person to try. */
  lines: string[]
  /** Every process of it, the starter first. */
  pids: number[]
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function spawnShop(port: number): ChildProcess {
  const services = { USERS_PORT: '0', ORDERS_PORT: '0', PRODUCTS_PORTS: '0,0,0', ISSUER_PORT: '0' }
  const ports = { ADMIN_PORT: '0', ...services }
  return spawn(process.execPath, [join(import.meta.dirname, 'start.ts')], {
    env: { ...process.env, ...ports, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, as a terminal gives it, so that Ctrl-C can be sent to all of it.
    detached: true,
  })
}

async function openShop(context: TestContext): Promise<Shop> {
  const port = await freePort()
  const child = spawnShop(port)
  const pid = child.pid ?? 0
  const exit = once(child, 'exit')
  context.after(async () => {
    child.kill('SIGTERM')
    await exit
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      child.emit('screen')
    })
  }
  const ended = exit.then(() => true)
  while (!text.includes('Ctrl-C ends everything')) {
    const step = await Promise.race([once(child, 'screen'), ended])
    assert.notEqual(step, true, `the shop did not open:\n${text}`)
  }
  const lines = text.split('\n').filter((line) => line.startsWith('    curl '))
  const url = `http://localhost:${port}`
  return { process: child, url, screen: () => text, lines, pids: familyOf(pid) }
}

async function run(line: string): Promise<string> {
  return (await shell('sh', ['-c', line.replace('curl ', 'curl --silent --show-error ')])).stdout
}

test('the lines on the screen do what the screen says', async (context) => {
  const shop = await openShop(context)
  assert.equal(shop.lines.length, 7)
  const answers = await Promise.all(shop.lines.map(run))
  const [user, order, turns, cors, account, stranger, nothing] = answers
  assert.equal(JSON.parse(user!).name, 'Ada Lindgren')
  assert.deepEqual(JSON.parse(order!), { id: 2, user: 1, product: 2, quantity: 3 })
  assert.deepEqual(turns!.match(/products-\d/g)!.sort(), ['products-1', 'products-2', 'products-3'])
  assert.match(cors!, /^HTTP\/1\.1 200 /)
  assert.match(cors!, /^access-control-allow-origin: http:\/\/localhost:3000\r$/im)
  assert.match(cors!, /^x-request-id: \S+\r$/im)
  assert.equal(JSON.parse(account!).name, 'Bruno Costa')
  assert.match(stranger!, /^HTTP\/1\.1 401 /)
  assert.match(stranger!, /^www-authenticate: Bearer\r$/im)
  assert.match(stranger!, /token_missing/)
  assert.match(nothing!, /^HTTP\/1\.1 404 /)
  assert.match(nothing!, /^content-type: application\/problem\+json\r$/im)
  assert.match(nothing!, /route_not_found/)
})

test('Ctrl-C ends every process of it', async (context) => {
  const shop = await openShop(context)
  assert.ok(shop.pids.length >= 8, 'a starter, six services and the gateway')
  const exit = once(shop.process, 'exit')
  process.kill(-shop.process.pid!, 'SIGINT')
  assert.deepEqual(await exit, [0, null])
  assert.deepEqual(shop.pids.filter(isAlive), [])
})

test('a service that crashes takes nobody with it, and nothing is left in the end', async (context) => {
  const shop = await openShop(context)
  process.kill(Number(/products-2 .* process (\d+)/.exec(shop.screen())![1]), 'SIGKILL')
  while (!shop.screen().includes('products-2 has ended')) await once(shop.process, 'screen')
  for (let turn = 0; turn < 6; turn++) {
    const response = await fetch(`${shop.url}/api/products`)
    assert.equal(response.status, 200)
    assert.notEqual(response.headers.get('x-served-by'), 'products-2')
  }
  const exit = once(shop.process, 'exit')
  shop.process.kill('SIGTERM')
  assert.deepEqual(await exit, [0, null])
  assert.deepEqual(shop.pids.filter(isAlive), [])
})

test('a busy port is an error that names the remedy', async (context) => {
  const holder = createServer().listen(0, '127.0.0.1')
  context.after(() => holder.close())
  await once(holder, 'listening')
  const { port } = holder.address() as { port: number }
  const child = spawnShop(port)
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  assert.deepEqual(await once(child, 'close'), [1, null])
  assert.match(text, new RegExp(`Port ${port} is in use`))
  assert.match(text, new RegExp(`PORT=${port + 1} npm start`))
})
