// A crowd of clients that connect and say nothing, in a process of its own so that the descriptors of
// both ends do not add up in one.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const CROWD = `
const net = require('node:net')
const [port, count] = process.argv.slice(1).map(Number)
let connected = 0
let closed = 0
let begun = 0
function begin() {
  if (begun === count) return
  begun++
  const socket = net.connect(port, '127.0.0.1')
  socket.on('connect', () => {
    if (++connected === count) process.stdout.write('connected\\n')
    begin()
  })
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('close', () => { if (++closed === count) process.exit(0) })
  socket.resume()
}
for (let i = 0; i < 200; i++) begin()
`

/** Many open connections that carry nothing. */
export class IdleClients {
  readonly #process: ChildProcess

  private constructor(child: ChildProcess) {
    this.#process = child
  }

  /** Resolves when all are connected. */
  static async connect(port: number, count: number): Promise<IdleClients> {
    const child = spawn(process.execPath, ['-e', CROWD, String(port), String(count)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await Promise.race([
      once(child.stdout!, 'data'),
      once(child, 'exit').then(() =>
        Promise.reject(new Error('the crowd left before it was complete')),
      ),
    ])
    return new IdleClients(child)
  }

  /** They vanish at once, as those of a crashed machine do. */
  async vanish(): Promise<void> {
    const { exitCode, signalCode } = this.#process
    if (exitCode !== null || signalCode !== null) return
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
  }

  /** Resolves when the other side has closed every connection. */
  async allClosed(): Promise<void> {
    if (this.#process.exitCode === null) await once(this.#process, 'exit')
  }
}

/** How many descriptors one process of this machine may open. */
export function openFilesMax(): number {
  const report = process.report.getReport() as { userLimits?: Record<string, { hard: unknown }> }
  const hard = Number(report.userLimits?.open_files?.hard)
  return Number.isNaN(hard) ? Number.POSITIVE_INFINITY : hard
}
