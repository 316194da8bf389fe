// Waiting for events in tests: a condition is looked at again whenever something happened, never
// after a guessed delay. The deadlines only turn a test that would hang into one that says why.

/** How long a test waits for something that should happen at once. Generous: the machine may be busy. */
export const PATIENCE_MS = 15_000

interface Waiter {
  look(): void
}

/** Something that changes; whoever waits looks again at each change. */
export class Changes {
  readonly #waiters = new Set<Waiter>()

  /** Tells everybody who waits to look again. */
  notify(): void {
    for (const waiter of [...this.#waiters]) waiter.look()
  }

  /**
   * Resolves with the first value of `probe` that is not null.
   * @throws when `probe` throws, or when nothing came within `patienceMs`.
   */
  until<T>(probe: () => T | null, what: () => string, patienceMs = PATIENCE_MS): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer)
        this.#waiters.delete(waiter)
        act()
      }
      const waiter: Waiter = {
        look: () => {
          try {
            const value = probe()
            if (value !== null) settle(() => resolve(value))
          } catch (error) {
            settle(() => reject(error))
          }
        },
      }
      const timer = setTimeout(
        () => settle(() => reject(new Error(`waited ${patienceMs} ms in vain for ${what()}`))),
        patienceMs,
      )
      this.#waiters.add(waiter)
      waiter.look()
    })
  }
}

/** Resolves once `probe` holds; for facts that announce no event, such as counters. */
export async function eventually(
  probe: () => boolean | Promise<boolean>,
  what: () => string,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!(await probe())) {
    if (performance.now() > deadline) {
      throw new Error(`waited ${patienceMs} ms in vain for ${what()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Lets every socket of this process that has something to read or write do so. */
export async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
}

/** Bytes as a person can read them in a failed assertion. */
export function printable(bytes: Buffer | string, most = 2000): string {
  const text = typeof bytes === 'string' ? bytes : bytes.toString('latin1')
  const shown = JSON.stringify(text.slice(0, most))
  return text.length > most ? `${shown} and ${text.length - most} more` : shown
}
