// Fields by which policies tell services who calls: what a client sends under such a name, in any
// spelling that a service could take for it, is removed before anybody sees it.
import { equalsNormalized, FIELD_STRIDE, FieldKind, type MessageHead } from './message-head.ts'

/** What an identity field may look like to the parser; framing and routing stay what they are. */
const REMOVABLE = (1 << FieldKind.ordinary) | (1 << FieldKind.forwarded) | (1 << FieldKind.hopByHop)

/** The names of identity fields, in all their spellings: see `equalsNormalized`. */
export class IdentityFields {
  readonly #names: readonly string[]
  /** A bit for every length that a name has; most fields are ruled out by it. */
  readonly #lengths: number

  constructor(names: Iterable<string>) {
    this.#names = [...new Set(Array.from(names, normalize))]
    this.#lengths = this.#names.reduce((bits, name) => bits | lengthBit(name.length), 0)
  }

  /** Whether a name, in any spelling, is one of them. */
  has(name: string): boolean {
    return this.#names.includes(normalize(name))
  }

  /** Whether Connection lists one of them (RFC 9110 7.6.1): it would be removed behind the gateway. */
  isNamedByConnection(head: MessageHead): boolean {
    const options = head.connectionOptions
    return options?.some((option) => this.has(option)) === true
  }

  /** Takes them out of a received head. */
  removeFrom(head: MessageHead): void {
    const { raw, fields } = head
    for (let i = 0; i < fields.length; i += FIELD_STRIDE) {
      const start = fields[i]!
      const length = fields[i + 1]! - start
      if ((this.#lengths & lengthBit(length)) === 0) continue
      if (((1 << fields[i + 4]!) & REMOVABLE) === 0) continue
      for (let n = 0; n < this.#names.length; n++) {
        const name = this.#names[n]!
        if (name.length !== length || !equalsNormalized(raw, start, name)) continue
        fields[i + 4] = FieldKind.removed
        head.hasHopFields = true
      }
    }
  }
}

function lengthBit(length: number): number {
  return 1 << (length & 31)
}

function normalize(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}
