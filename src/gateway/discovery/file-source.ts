// The endpoints of a service in a file of their own, which others write while the gateway runs.
import { readFile, stat } from 'node:fs/promises'
import { type TimerWheel, WheelTimer } from '../../lib/timer-wheel.ts'
import type {
  EndpointSource,
  SourceContext,
} from '../../proxy/upstream/discovery/endpoint-source.ts'

/** Which file, and how its endpoints are spoken to. */
export interface FileSettings {
  readonly path: string
  readonly scheme: 'http' | 'https'
}

/**
 * How often is looked whether the file is another one. Looking finds every way of replacing it, on every
 * kind of file system: a rename, a link that is swapped (Kubernetes), a write in place.
 */
const LOOK_MS = 500
/** A file that changed must be the same for so long before it is read. */
const SETTLE_MS = 100

/** Makes a source of the endpoints that a file lists. */
export function fileSource(settings: FileSettings, wheel: TimerWheel): EndpointSource {
  return (context) => {
    const watch = new FileLooks(settings, wheel, context)
    context.signal.addEventListener('abort', () => wheel.cancel(watch), { once: true })
    void watch.start()
  }
}

class FileLooks extends WheelTimer {
  readonly #settings: FileSettings
  readonly #wheel: TimerWheel
  readonly #context: SourceContext
  /** What was read, or found missing, last. */
  #version = ''
  /** What was seen at the last look. */
  #seen = ''

  constructor(settings: FileSettings, wheel: TimerWheel, context: SourceContext) {
    super()
    this.#settings = settings
    this.#wheel = wheel
    this.#context = context
  }

  /** The first version is read at once: loading the configuration has read it too. */
  async start(): Promise<void> {
    this.#seen = await versionOf(this.#settings.path)
    await this.#look()
  }

  override onTimeout(): void {
    void this.#look()
  }

  async #look(): Promise<void> {
    const { path } = this.#settings
    const version = await versionOf(path)
    const isSettled = version === this.#seen
    this.#seen = version
    if (isSettled && version !== this.#version) {
      await this.#read(version)
    }
    if (this.#context.signal.aborted) return
    this.#wheel.arm(this, isSettled ? LOOK_MS : SETTLE_MS)
  }

  async #read(version: string): Promise<void> {
    const { path, scheme } = this.#settings
    const { signal } = this.#context
    // Only here: a control plane without such files stays small.
    const { ENDPOINT_FILE_BYTES_MAX, readEndpoints } = await import('../../config/endpoint-file.ts')
    const text = await textOf(path, ENDPOINT_FILE_BYTES_MAX)
    // Written meanwhile: the next look takes the whole of it.
    if (signal.aborted || (await versionOf(path)) !== version || signal.aborted) return
    this.#version = version
    if (typeof text !== 'string') return this.#context.fail(`${path} cannot be read: ${text.code}`)
    const { endpoints, problems } = readEndpoints(path, text, scheme)
    if (endpoints !== null) this.#context.publish(endpoints)
    else for (const problem of problems) this.#context.fail(problem)
  }
}

/** Another text whenever another file is there, or the same one was written; links are followed. */
async function versionOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN'
  }
}

async function textOf(path: string, bytesMax: number): Promise<string | { code: string }> {
  try {
    const stats = await stat(path)
    // Reading a pipe or a device could last for ever.
    if (!stats.isFile()) return { code: 'it is not a file' }
    if (stats.size > bytesMax) {
      return { code: `it is larger than ${bytesMax / 1024}kb` }
    }
    return await readFile(path, 'utf8')
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN' }
  }
}
