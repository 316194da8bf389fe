// Where two JSON values differ, found step by step so that nobody waits for a large one.

/** Differences that are looked for before it is enough. */
export const DIFFERENCES_MAX = 10
/** Characters of a pointer that are kept. */
const POINTER_CHARACTERS_MAX = 200

/** JSON Pointers (RFC 6901) of what may differ, as a tree. */
export class IgnoredPaths {
  readonly children = new Map<string, IgnoredPaths>()
  /** What `*` leads to: any member, any index. */
  any: IgnoredPaths | null = null
  /** A pointer ends here. */
  isEnd = false

  /** @param pointers checked; `*` is any member, `~1` stands for '/', `~0` for '~'. */
  static of(pointers: readonly string[]): IgnoredPaths {
    const root = new IgnoredPaths()
    for (const pointer of pointers) {
      let node = root
      for (const token of pointer.split('/').slice(1)) node = node.#child(token)
      node.isEnd = true
    }
    return root
  }

  #child(token: string): IgnoredPaths {
    if (token === '*') {
      this.any ??= new IgnoredPaths()
      return this.any
    }
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    let child = this.children.get(key)
    if (child === undefined) {
      child = new IgnoredPaths()
      this.children.set(key, child)
    }
    return child
  }
}

type Container = readonly unknown[] | Readonly<Record<string, unknown>>

/** One pair of objects or arrays whose members are being looked at. */
interface Frame {
  readonly a: Container
  readonly b: Container
  /** Of both; null for arrays, whose keys are the indexes up to `count`. */
  readonly keys: readonly string[] | null
  readonly count: number
  readonly ignored: readonly IgnoredPaths[]
  next: number
}

/** The comparison of two values that JSON.parse made. */
export class JsonDifference {
  /** Pointers of what differs, in the order of the first value, at most DIFFERENCES_MAX. */
  readonly pointers: string[] = []
  readonly #frames: Frame[] = []

  constructor(a: unknown, b: unknown, ignored: IgnoredPaths) {
    if (a === b) return
    if (canDescend(a, b)) this.#frames.push(frameOf(a, b as Container, [ignored]))
    else this.pointers.push('')
  }

  /** Looks at up to `members` more members. @returns whether it is done. */
  step(members: number): boolean {
    for (let left = members; left > 0; left--) {
      const frame = this.#frames[this.#frames.length - 1]
      if (frame === undefined || this.pointers.length >= DIFFERENCES_MAX) return true
      if (frame.next >= frame.count) this.#frames.pop()
      else this.#look(frame, frame.next++)
    }
    return this.#frames.length === 0 || this.pointers.length >= DIFFERENCES_MAX
  }

  #look(frame: Frame, index: number): void {
    const key = frame.keys === null ? String(index) : frame.keys[index]!
    const a = memberOf(frame.a, key)
    const b = memberOf(frame.b, key)
    if (a === b) return
    const ignored = below(frame.ignored, key)
    if (ignored === null) return
    if (canDescend(a, b)) this.#frames.push(frameOf(a, b as Container, ignored))
    else this.pointers.push(this.#pointer())
  }

  /** Of the member that every frame looked at last. */
  #pointer(): string {
    let pointer = ''
    for (const { keys, next } of this.#frames) {
      const key = keys === null ? String(next - 1) : keys[next - 1]!
      pointer += `/${key.slice(0, POINTER_CHARACTERS_MAX).replaceAll('~', '~0').replaceAll('/', '~1')}`
      if (pointer.length > POINTER_CHARACTERS_MAX) {
        return `${pointer.slice(0, POINTER_CHARACTERS_MAX)}...`
      }
    }
    return pointer
  }
}

/** What of `ignored` goes on at a member; null when the member itself may differ. */
function below(ignored: readonly IgnoredPaths[], key: string): readonly IgnoredPaths[] | null {
  const nodes: IgnoredPaths[] = []
  for (let i = 0; i < ignored.length; i++) {
    const { any, children } = ignored[i]!
    const child = children.get(key)
    if (child?.isEnd === true || any?.isEnd === true) return null
    if (child !== undefined) nodes.push(child)
    if (any !== null) nodes.push(any)
  }
  return nodes
}

function memberOf(container: Container, key: string): unknown {
  return Object.hasOwn(container, key) ? (container as Record<string, unknown>)[key] : undefined
}

/** Whether both are objects, or both arrays. */
function canDescend(a: unknown, b: unknown): a is Container {
  return (
    typeof a === 'object' &&
    typeof b === 'object' &&
    a !== null &&
    b !== null &&
    Array.isArray(a) === Array.isArray(b)
  )
}

function frameOf(a: Container, b: Container, ignored: readonly IgnoredPaths[]): Frame {
  if (Array.isArray(a)) {
    const count = Math.max(a.length, (b as readonly unknown[]).length)
    return { a, b, keys: null, count, ignored, next: 0 }
  }
  const keys = Object.keys(a)
  for (const key of Object.keys(b)) if (!Object.hasOwn(a, key)) keys.push(key)
  return { a, b, keys, count: keys.length, ignored, next: 0 }
}
