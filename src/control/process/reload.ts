// From a changed file to a changed gateway: load, compare, then apply in place or ask for a new process.
import { dirname } from 'node:path'
import type { Document } from '../../config/schema.ts'
import { codeFingerprint, codeFolders, codeModules, fileState } from './code-files.ts'
import { ConfigurationLoader } from './configuration-loader.ts'
import { FileWatch } from './file-watch.ts'
import { problemLines } from './problem-lines.ts'
import { sameNeeds, socketNeeds } from './socket-needs.ts'
import { RefusedError } from './threads.ts'

/** What a reload needs of the control plane. */
export interface ReloadTarget {
  /** How many there are for as long as the parent runs. */
  readonly threads: number
  document(): Document
  /** @throws RefusedError when the configuration cannot run; the old one runs on. */
  apply(document: Document): Promise<void>
  /** Only a new gateway process can run this configuration. */
  replace(reason: string, document: Document): void
  /** A configuration was refused; the old one runs on. */
  refused(): void
  report(line: string): void
}

/** Reloads on demand and, if asked, when the file or the code it names is written. One at a time. */
export class Reloader {
  readonly #file: string
  readonly #target: ReloadTarget
  readonly #loader: ConfigurationLoader
  #code = ''
  #watch: FileWatch | null = null
  #running: Promise<void> | null = null
  #isWantedAgain = false
  #isAsked = false
  #isClosed = false
  /** Whether it asked for the new process that is to come. */
  #isReplacing = false

  constructor(file: string, target: ReloadTarget) {
    this.#file = file
    this.#target = target
    this.#loader = new ConfigurationLoader(file)
  }

  /** Notes what runs; from now on a difference is a change. */
  async start(watch: boolean): Promise<void> {
    const fingerprint = () => codeFingerprint(codeModules(this.#target.document()), this.#file)
    this.#code = await fingerprint()
    if (!watch) return
    const state = async () => `${await fileState(this.#file)} ${await fingerprint()}`
    this.#watch = new FileWatch(
      state,
      () => void this.reload(false),
      (error) => this.#target.report(`changes are no longer noticed: ${error.message}`),
    )
    await this.#watch.start(this.#folders())
    // The file may have changed since it was loaded for this process.
    void this.reload(false)
  }

  /**
   * Reloads; calls that come while a reload runs cause one more after it. Never rejects.
   * Whoever asked wants to hear that nothing changed, too.
   */
  reload(isAsked: boolean): Promise<void> {
    this.#isAsked ||= isAsked
    this.#isWantedAgain = true
    this.#running ??= this.#run().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /** A new process did not come up: the parent has said why. Only a reload that needs it is refused. */
  notReplaced(reason: string): void {
    if (!this.#isReplacing) return
    this.#isReplacing = false
    this.#refuse([reason])
  }

  close(): void {
    this.#isClosed = true
    this.#watch?.close()
    this.#loader.close()
  }

  #folders(): string[] {
    return [...new Set([dirname(this.#file), ...codeFolders(codeModules(this.#target.document()))])]
  }

  async #run(): Promise<void> {
    while (this.#isWantedAgain && !this.#isClosed) {
      this.#isWantedAgain = false
      await this.#reloadOnce()
    }
  }

  async #reloadOnce(): Promise<void> {
    const isAsked = this.#isAsked
    this.#isAsked = false
    const { document, problems } = await this.#loader.load()
    if (this.#isClosed) return
    if (document === null) return this.#refuse(problemLines(problems))
    const current = this.#target.document()
    const code = await codeFingerprint(codeModules(document), this.#file)
    const isSame = JSON.stringify(document) === JSON.stringify(current)
    if (isSame && code === this.#code) {
      if (isAsked) this.#target.report('the configuration is unchanged')
    } else if (!sameNeeds(socketNeeds(document), socketNeeds(current))) {
      this.#replace('it listens on other addresses', document)
    } else if (document.state.file !== current.state.file) {
      this.#replace('it keeps its state in another file', document)
    } else if (document.threadHeap !== current.threadHeap) {
      this.#replace('its threads get another heap limit', document)
    } else if (code !== this.#code) {
      this.#replace('the code of its policies changed', document)
    } else await this.#apply(document)
  }

  #replace(reason: string, document: Document): void {
    this.#isReplacing = true
    this.#target.replace(reason, document)
  }

  async #apply(document: Document): Promise<void> {
    const before = this.#target.document()
    try {
      await this.#target.apply(document)
      this.#watch?.watch(this.#folders())
      this.#target.report('the new configuration is live')
      if (document.threads !== before.threads) this.#tellThreads(document)
    } catch (error) {
      this.#refuse(error instanceof RefusedError ? error.problems : [(error as Error).message])
    }
  }

  /** The sockets were dealt out to as many as there are. */
  #tellThreads({ threads }: Document): void {
    const { threads: count, report } = this.#target
    const running = count === 1 ? 'there is 1' : `there are ${count}`
    report(`\`threads: ${threads}\` counts from the next start on, until then ${running}`)
  }

  #refuse(problems: readonly string[]): void {
    this.#target.refused()
    this.#target.report('the new configuration is refused, the old one runs on:')
    for (const problem of problems) this.#target.report(`  ${problem}`)
  }
}
