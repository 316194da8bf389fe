// Starts and ends the programs under test, and reads the CPU time of each with all its descendants.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { familyOf, statOf } from '../../scripts/process-tree.ts'
import type { Command } from './subject.ts'

const startMsMax = 30_000
const stopMsMax = 5_000
/** sysconf(_SC_CLK_TCK): 100 on every Linux that Node runs on. */
const ticksPerSecond = 100

const running = new Set<ChildProcess>()
const ending = new AbortController()

/** Aborted when everything is to end; load tools stop on it. */
export const endSignal: AbortSignal = ending.signal

/** Starts a program and waits until it listens. Throws with its output if it ends instead. */
export async function start(command: Command, folder: string, port: number): Promise<ChildProcess> {
  const logPath = join(folder, 'output.log')
  const log = openSync(logPath, 'a')
  const child = spawn(command.program, command.args, {
    cwd: folder,
    env: { ...process.env, ...command.env },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.once('error', () => running.delete(child))
  const deadline = Date.now() + startMsMax
  while (!(await canConnect(port))) {
    if (!running.has(child) || Date.now() > deadline) {
      await stop(child)
      throw new Error(`${command.program} does not listen:\n${readFileSync(logPath, 'utf8')}`)
    }
    await sleep(50)
  }
  return child
}

/** Ends a program and waits for it. */
export async function stop(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return
  const gone = once(child, 'exit')
  const timer = setTimeout(() => {
    for (const pid of familyOf(child.pid!).reverse()) process.kill(pid, 'SIGKILL')
  }, stopMsMax)
  child.kill('SIGTERM')
  await gone
  clearTimeout(timer)
}

/** Ends whatever still runs. */
export async function stopAll(): Promise<void> {
  ending.abort()
  await Promise.all([...running].map(stop))
}

/** A port of this machine that nobody uses. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const connected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
  socket.destroy()
  return connected
}

/** CPU seconds, user and system, that a process and its descendants have used. */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const member of familyOf(pid)) {
    const fields = statOf(member)
    // utime, stime, and those of children that have ended: fields 14 to 17 of proc(5).
    for (const index of [11, 12, 13, 14]) ticks += Number(fields?.[index] ?? 0)
  }
  return ticks / ticksPerSecond
}
