// Looks every few seconds whether the files of TLS settings changed. Looking at what they hold notices
// every way of replacing them: written in place, renamed over, or behind a symbolic link that moved.
import type { PolicyLog } from '../proxy/pipeline/policy.ts'

const INTERVAL_MS = 10_000

/** Who uses certificates. */
export interface CertificateHolder {
  /**
   * Reads the files again.
   * @returns whether anything changed.
   * @throws Error naming the file that cannot be used; what was in use stays.
   */
  reloadCertificates(): Promise<boolean>
}

/** Keeps the certificates of one thread up to date. */
export class CertificateWatch {
  readonly #holders: () => Iterable<CertificateHolder>
  readonly #log: PolicyLog
  readonly #timer: NodeJS.Timeout
  /** What was wrong the last time: told once, not every few seconds. */
  #troubles: ReadonlySet<string> = new Set()
  #running: Promise<void> | null = null

  constructor(holders: () => Iterable<CertificateHolder>, log: PolicyLog) {
    this.#holders = holders
    this.#log = log
    this.#timer = setInterval(() => void this.check(), INTERVAL_MS)
    this.#timer.unref()
  }

  /** Looks now, or waits for the look that is under way. Never rejects. */
  check(): Promise<void> {
    this.#running ??= this.#check().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #check(): Promise<void> {
    const troubles = new Set<string>()
    for (const holder of [...this.#holders()]) {
      try {
        if (await holder.reloadCertificates()) this.#log.info({}, 'certificates reloaded')
      } catch (error) {
        const { message } = error as Error
        if (!this.#troubles.has(message) && !troubles.has(message)) {
          this.#log.error({ error: message }, 'certificates kept: the new ones cannot be used')
        }
        troubles.add(message)
      }
    }
    this.#troubles = troubles
  }
}
