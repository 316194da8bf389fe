// Notices that a configuration was written. Folders are watched rather than files, because editors
// and Kubernetes put a new file in the place of the old one.
import { type FSWatcher, watch } from 'node:fs'

/** After an event, the state must be the same at two looks this far apart, in milliseconds. */
const SETTLE_MS = 100

/** Calls back when `state` has changed and settled. */
export class FileWatch {
  readonly #state: () => Promise<string>
  readonly #onChange: () => void
  readonly #onError: (error: Error) => void
  readonly #watchers = new Map<string, FSWatcher>()
  #timer: NodeJS.Timeout | undefined
  #isLooking = false
  #isEventMissed = false
  #isClosed = false
  #reported = ''
  #seen = ''

  /** `state` describes what is watched for as a text; events in the folders only cause a look at it. */
  constructor(state: () => Promise<string>, onChange: () => void, onError: (error: Error) => void) {
    this.#state = state
    this.#onChange = onChange
    this.#onError = onError
  }

  /** Begins to watch; what is there now is no change. */
  async start(folders: readonly string[]): Promise<void> {
    this.#reported = await this.#state()
    this.#seen = this.#reported
    this.watch(folders)
  }

  /** Watches these folders from now on, and no others. */
  watch(folders: readonly string[]): void {
    for (const [folder, watcher] of this.#watchers) {
      if (!folders.includes(folder)) this.#unwatch(folder, watcher)
    }
    for (const folder of folders) {
      if (this.#isClosed || this.#watchers.has(folder)) continue
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#lookLater())
        watcher.on('error', (error) => {
          this.#unwatch(folder, watcher)
          this.#onError(error)
        })
        this.#watchers.set(folder, watcher)
      } catch (error) {
        this.#onError(error as Error)
      }
    }
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.watch([])
  }

  #unwatch(folder: string, watcher: FSWatcher): void {
    this.#watchers.delete(folder)
    watcher.close()
  }

  #lookLater(): void {
    this.#isEventMissed = this.#isLooking
    if (this.#isLooking || this.#isClosed) return
    this.#isLooking = true
    this.#timer = setTimeout(() => void this.#look(), SETTLE_MS)
  }

  async #look(): Promise<void> {
    const state = await this.#state()
    this.#isLooking = false
    if (this.#isClosed) return
    if (state !== this.#seen || this.#isEventMissed) {
      this.#seen = state
      this.#lookLater()
    } else if (state !== this.#reported) {
      this.#reported = state
      this.#onChange()
    }
  }
}
