// A file that a policy lives by: read when the policy is made, and again whenever it has changed.
// Looking at what it holds notices every way of replacing it, as gateway/certificate-watch.ts does.
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Kept, PolicyLog } from '../proxy/pipeline/policy.ts'

const INTERVAL_MS = 10_000

/** Which file, and what becomes of it. */
export interface WatchedFileOptions<Content> {
  readonly path: string
  /** A longer file is refused. */
  readonly bytesMax: number
  /** Makes of the text what the policy needs. @throws Error saying what is wrong with it. */
  parse(text: string): Content
  readonly log: PolicyLog
  /** How often to look, in milliseconds; 10 seconds by default. */
  readonly everyMs?: number
}

/** A file and what its last good version holds. */
export class WatchedFile<Content> implements Kept {
  /** Of the last good version. */
  current: Content
  readonly #options: WatchedFileOptions<Content>
  readonly #timer: NodeJS.Timeout
  #digest: string
  /** What was wrong the last time: told once, not at every look. */
  #trouble = ''
  #running: Promise<void> | null = null
  #isDisposed = false

  /** @throws Error naming the file, when there is no first version to begin with. */
  constructor(options: WatchedFileOptions<Content>) {
    const { path, bytesMax, everyMs = INTERVAL_MS } = options
    this.#options = options
    let bytes: Buffer
    try {
      checkFile(statSync(path), bytesMax)
      bytes = readFileSync(path)
      checkLength(bytes.length, bytesMax)
      this.current = options.parse(bytes.toString())
    } catch (error) {
      throw new Error(`${path} cannot be used: ${reason(error)}`)
    }
    this.#digest = digest(bytes)
    this.#timer = setInterval(() => void this.check(), everyMs)
    this.#timer.unref()
  }

  /** Looks now, or waits for the look that is under way. Never rejects. */
  check(): Promise<void> {
    this.#running ??= this.#check().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  dispose(): void {
    this.#isDisposed = true
    clearInterval(this.#timer)
  }

  async #check(): Promise<void> {
    const { path, bytesMax, log } = this.#options
    try {
      const bytes = await read(path, bytesMax)
      if (this.#isDisposed) return
      const found = digest(bytes)
      if (found !== this.#digest) {
        this.current = this.#options.parse(bytes.toString())
        this.#digest = found
        log.info({ file: path }, 'file read again')
      }
      this.#trouble = ''
    } catch (error) {
      const trouble = reason(error)
      if (trouble !== this.#trouble && !this.#isDisposed) {
        log.error({ file: path, error: trouble }, 'file kept: the new version cannot be used')
      }
      this.#trouble = trouble
    }
  }
}

async function read(path: string, bytesMax: number): Promise<Buffer> {
  checkFile(await stat(path), bytesMax)
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of createReadStream(path)) {
    length += (piece as Buffer).length
    checkLength(length, bytesMax)
    pieces.push(piece as Buffer)
  }
  return Buffer.concat(pieces)
}

/** Reading a pipe or a device could last for ever. */
function checkFile(found: { isFile(): boolean; readonly size: number }, bytesMax: number): void {
  if (!found.isFile()) throw new Error('it is not a file')
  checkLength(found.size, bytesMax)
}

function checkLength(length: number, bytesMax: number): void {
  if (length > bytesMax) throw new Error(`it is longer than ${bytesMax} bytes`)
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64')
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}
