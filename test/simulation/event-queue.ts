// What is going to happen, in the order of time: the heart of a discrete-event simulation.

/** Events by their due time; those due at the same time keep the order in which they were added. */
export class EventQueue<Event> {
  readonly #heap: { dueMs: number; order: number; event: Event }[] = []
  #added = 0

  add(dueMs: number, event: Event): void {
    const heap = this.#heap
    const entry = { dueMs, order: this.#added, event }
    this.#added += 1
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (isBefore(heap[parent]!, entry)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  /** Takes out the next event; null when nothing will happen any more. */
  next(): { dueMs: number; event: Event } | null {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return null
    if (heap.length > 0) this.#sink(last)
    return first
  }

  #sink(entry: { dueMs: number; order: number; event: Event }): void {
    const heap = this.#heap
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (isBefore(entry, heap[child]!)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = entry
  }
}

function isBefore(
  a: { dueMs: number; order: number },
  b: { dueMs: number; order: number },
): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}
