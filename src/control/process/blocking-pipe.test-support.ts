// A named pipe: whoever opens it to read sits in native code until somebody opens its other end.
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class BlockingPipe {
  readonly path: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatehouse-pipe-'))

  constructor() {
    this.path = join(this.#folder, 'pipe')
    execFileSync('mkfifo', [this.path])
  }

  /** Lets readers go on: they find nothing to read. */
  release(): void {
    closeSync(openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK))
    this.remove()
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
