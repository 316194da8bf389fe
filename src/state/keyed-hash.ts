// A keyed 128-bit hash of text, made of 32-bit operations only: Chaskey (Mouha et al., SAC 2014), a
// message authentication code of 8 rounds. Who does not know the key cannot choose where keys fall,
// nor make two fall together.

/** Words of a key: four for texts whose characters fit a byte, four for all others. */
export const HASH_KEY_WORDS = 8
const ROUNDS = 8

/** Hashes one text after the other; the last hash is in `a` to `d`. */
export class KeyedHash {
  a = 0
  b = 0
  c = 0
  d = 0
  readonly #narrow: Int32Array
  readonly #wide: Int32Array

  /** @param key HASH_KEY_WORDS random words. */
  constructor(key: Int32Array) {
    this.#narrow = withSubkeys(key.slice(0, 4))
    this.#wide = withSubkeys(key.slice(4, 8))
  }

  /** Hashes the UTF-16 units of a text. */
  read(text: string): void {
    if (!this.#absorb(text, this.#narrow, 8)) this.#absorb(text, this.#wide, 16)
  }

  /** @returns false, with no hash, when a unit does not fit `bits`. */
  #absorb(text: string, key: Int32Array, bits: 8 | 16): boolean {
    const length = text.length
    const perWord = 32 / bits
    const perBlock = 4 * perWord
    const last = length === 0 ? 0 : Math.ceil(length / perBlock) - 1
    const subkey = length > 0 && length % perBlock === 0 ? 4 : 8
    let a = key[0]!
    let b = key[1]!
    let c = key[2]!
    let d = key[3]!
    unitsSeen = 0
    for (let block = 0; block <= last; block++) {
      const at = block * perBlock
      if (bits === 8 && at + perBlock <= length) {
        a ^= wordOfFour(text, at)
        b ^= wordOfFour(text, at + 4)
        c ^= wordOfFour(text, at + 8)
        d ^= wordOfFour(text, at + 12)
      } else {
        a ^= wordOf(text, at, perWord, bits)
        b ^= wordOf(text, at + perWord, perWord, bits)
        c ^= wordOf(text, at + 2 * perWord, perWord, bits)
        d ^= wordOf(text, at + 3 * perWord, perWord, bits)
      }
      if (bits === 8 && unitsSeen > 0xff) return false
      if (block === last) {
        a ^= key[subkey]!
        b ^= key[subkey + 1]!
        c ^= key[subkey + 2]!
        d ^= key[subkey + 3]!
      }
      for (let round = 0; round < ROUNDS; round++) {
        a = (a + b) | 0
        b = ((b << 5) | (b >>> 27)) ^ a
        a = (a << 16) | (a >>> 16)
        c = (c + d) | 0
        d = ((d << 8) | (d >>> 24)) ^ c
        a = (a + d) | 0
        d = ((d << 13) | (d >>> 19)) ^ a
        c = (c + b) | 0
        b = ((b << 7) | (b >>> 25)) ^ c
        c = (c << 16) | (c >>> 16)
      }
    }
    this.a = a ^ key[subkey]!
    this.b = b ^ key[subkey + 1]!
    this.c = c ^ key[subkey + 2]!
    this.d = d ^ key[subkey + 3]!
    return true
  }
}

/** All units of the text so far, or-ed: whether one of them is wider than a byte. */
let unitsSeen = 0

function wordOfFour(text: string, at: number): number {
  const first = text.charCodeAt(at)
  const second = text.charCodeAt(at + 1)
  const third = text.charCodeAt(at + 2)
  const fourth = text.charCodeAt(at + 3)
  unitsSeen |= first | second | third | fourth
  return first | (second << 8) | (third << 16) | (fourth << 24)
}

/** `count` units as one word, the first one lowest; past the end comes a 1, then zeros. */
function wordOf(text: string, at: number, count: number, bits: number): number {
  const rest = text.length - at
  const stop = rest < count ? rest : count
  let word = 0
  for (let index = 0; index < stop; index++) {
    const unit = text.charCodeAt(at + index)
    unitsSeen |= unit
    word |= unit << (index * bits)
  }
  return rest >= 0 && rest < count ? word | (1 << (rest * bits)) : word
}

/** The key, then what closes a text of whole blocks, then what closes any other. */
function withSubkeys(key: Int32Array): Int32Array {
  const first = doubled(key)
  return Int32Array.of(...key, ...first, ...doubled(first))
}

/** Times x in GF(2^128). */
function doubled(words: Int32Array): Int32Array {
  const [a, b, c, d] = words as unknown as [number, number, number, number]
  return Int32Array.of(
    (a << 1) ^ (d < 0 ? 0x87 : 0),
    (b << 1) | (a >>> 31),
    (c << 1) | (b >>> 31),
    (d << 1) | (c >>> 31),
  )
}
