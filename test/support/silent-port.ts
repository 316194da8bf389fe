// An address that takes no connection and refuses none: SYNs stay without an answer, as those to a
// machine that is switched off. A listener in a process of its own is stopped with a full backlog.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const LISTENER = `
const server = require('node:net').createServer(() => {})
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  process.stdout.write(String(server.address().port))
})
`

/** A port on 127.0.0.1 where connecting takes for ever. */
export class SilentPort {
  readonly port: number
  readonly #listener: ChildProcess
  readonly #fillers: Socket[]

  private constructor(port: number, listener: ChildProcess, fillers: Socket[]) {
    this.port = port
    this.#listener = listener
    this.#fillers = fillers
  }

  static async open(): Promise<SilentPort> {
    const listener = spawn(process.execPath, ['-e', LISTENER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [text] = (await once(listener.stdout!, 'data')) as [Buffer]
    const port = Number(text.toString())
    listener.kill('SIGSTOP')
    // The kernel goes on accepting until the backlog is full; what comes after that hangs.
    const fillers: Socket[] = []
    for (let taken = true; taken; ) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      fillers.push(socket)
      taken = await Promise.race([
        once(socket, 'connect').then(() => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300)),
      ])
    }
    return new SilentPort(port, listener, fillers)
  }

  async close(): Promise<void> {
    for (const socket of this.#fillers) socket.destroy()
    const gone = once(this.#listener, 'exit')
    this.#listener.kill('SIGKILL')
    await gone
  }
}
