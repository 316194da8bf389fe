// Runs the shop: six services and Gatehouse in front of them, each in a process of its own, until
// Ctrl-C. PORT moves the gateway; ADMIN_PORT, USERS_PORT, ORDERS_PORT, PRODUCTS_PORTS (three,
// separated by commas) and ISSUER_PORT move the rest, 0 meaning any free port.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningService, screen } from './screen.ts'

interface Service {
  name: string
  file: string
  /** The port in gatehouse.yaml. */
  port: number
  /** The port to try first. */
  wantedPort: number
}

const configurationPath = join(import.meta.dirname, 'gatehouse.yaml')
const gatewayPort = Number(process.env.PORT || 8080)
const wantedAdminPort = Number(process.env.ADMIN_PORT || 9901)
const startMsMax = 20_000
const stopMsMax = 5_000

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-shop-'))
const logPath = join(folder, 'gatehouse.log')
const children = new Map<string, ChildProcess>()
let stopping = false

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(0))
process.on('uncaughtException', (error) => fail(error.stack ?? error.message))
start().catch((error: Error) => fail(error.message))

async function start(): Promise<void> {
  if (!(await isPortFree(gatewayPort))) {
    throw new Error(
      `Port ${gatewayPort} is in use by another program.\n` +
        `Choose another one for the shop, for example: PORT=${gatewayPort + 1} npm start`,
    )
  }
  if (stopping) return
  const services = await Promise.all(wantedServices().map(startService))
  const adminPort = await chooseAdminPort()
  if (stopping) return
  const pid = await startGateway(configurationFor(services, adminPort))
  if (!stopping) {
    process.stdout.write(screen({ port: gatewayPort, adminPort, pid, logPath }, services))
  }
}

function wantedServices(): Service[] {
  const { USERS_PORT, ORDERS_PORT, PRODUCTS_PORTS, ISSUER_PORT } = process.env
  const products = PRODUCTS_PORTS?.split(',')
  const service = (name: string, file: string, port: number, wanted: string | undefined) => ({
    name,
    file,
    port,
    wantedPort: wanted ? Number(wanted) : port,
  })
  return [
    service('users', 'users.ts', 14001, USERS_PORT),
    service('orders', 'orders.ts', 14002, ORDERS_PORT),
    service('products-1', 'products.ts', 14011, products?.[0]),
    service('products-2', 'products.ts', 14012, products?.[1]),
    service('products-3', 'products.ts', 14013, products?.[2]),
    service('issuer', 'issuer.ts', 14020, ISSUER_PORT),
  ]
}

async function startService({ name, file, port, wantedPort }: Service): Promise<RunningService> {
  const child = fork(join(import.meta.dirname, 'services', file), {
    env: { ...process.env, NAME: name, PORT: String(wantedPort) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  watch(name, child)
  const actualPort = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { port: number }) => resolve(message.port))
    child.once('exit', () => reject(new Error(`${name} ended before it listened.`)))
  })
  if (wantedPort !== 0 && actualPort !== wantedPort) {
    say(`Port ${wantedPort} is in use, so ${name} listens on ${actualPort}.`)
  }
  child.on('exit', (code, signal) => {
    if (!stopping) say(`${name} has ended (${signal ?? code}); the shop goes on without it.`)
  })
  return { name, pid: child.pid ?? 0, port, actualPort }
}

/** The shop's configuration, or a copy of it where other ports than the file's are in use. */
function configurationFor(services: RunningService[], adminPort: number): string {
  const original = readFileSync(configurationPath, 'utf8')
  const ports = new Map([
    [8080, gatewayPort],
    [9901, adminPort],
  ])
  for (const { port, actualPort } of services) ports.set(port, actualPort)
  const text = original.replace(
    /(?<=http:\/\/127\.0\.0\.1:)\d+/g,
    (port) => `${ports.get(Number(port)) ?? port}`,
  )
  if (text === original) return configurationPath
  const path = join(folder, 'gatehouse.yaml')
  writeFileSync(path, text)
  return path
}

/** Starts Gatehouse and waits until it answers; its output, the access log included, goes to a file. */
async function startGateway(configuration: string): Promise<number> {
  const main = join(import.meta.dirname, '../../src/main.ts')
  const log = openSync(logPath, 'w')
  const child = spawn(process.execPath, [main, 'run', configuration], {
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  watch('gatehouse', child)
  child.on('exit', (code, signal) => {
    if (!stopping)
      fail(`Gatehouse has ended (${signal ?? code}):\n${readFileSync(logPath, 'utf8')}`)
  })
  const deadline = Date.now() + startMsMax
  while (!stopping && !(await answers())) {
    if (Date.now() > deadline) {
      throw new Error(`Gatehouse did not answer:\n${readFileSync(logPath, 'utf8')}`)
    }
    await sleep(50)
  }
  return child.pid ?? 0
}

async function answers(): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(1000)
    await (await fetch(`http://127.0.0.1:${gatewayPort}/`, { signal })).body?.cancel()
    return true
  } catch {
    return false
  }
}

async function chooseAdminPort(): Promise<number> {
  if (wantedAdminPort !== 0 && (await isPortFree(wantedAdminPort))) return wantedAdminPort
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  if (wantedAdminPort !== 0)
    say(`Port ${wantedAdminPort} is in use, so the admin API is at ${port}.`)
  return port
}

/** Whether `localhost` on this port is nobody else's, in IPv4 and in IPv6. */
async function isPortFree(port: number): Promise<boolean> {
  for (const host of ['127.0.0.1', '::1']) {
    const probe = createServer()
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      probe.once('error', resolve)
      probe.listen(port, host, () => probe.close(() => resolve(null)))
    })
    if (error?.code === 'EACCES') throw new Error(`Port ${port} is not allowed to this user.`)
    if (error?.code === 'EADDRINUSE') return false
  }
  return true
}

function watch(name: string, child: ChildProcess): void {
  children.set(name, child)
  child.on('exit', () => children.delete(name))
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

function fail(message: string): void {
  if (!stopping) say(message)
  stop(1)
}

/** Ends the gateway first, so that requests under way still find their services; then the services. */
async function stop(code: number): Promise<void> {
  if (stopping) return
  stopping = true
  await end(children.get('gatehouse'), (child) => child.kill('SIGTERM'))
  await Promise.all([...children.values()].map((child) => end(child, () => child.disconnect())))
  rmSync(folder, { recursive: true, force: true })
  process.exit(code)
}

async function end(
  child: ChildProcess | undefined,
  ask: (child: ChildProcess) => void,
): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
  ask(child)
  await gone
  clearTimeout(timer)
}
