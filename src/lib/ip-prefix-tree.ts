// Values by network, found by address: the longest prefix wins. IPv4 and IPv6 are separate, except
// that an IPv4-mapped IPv6 address (::ffff:192.0.2.1) is the IPv4 address it holds.

const V4_BITS = 32
/** What `parseCidr` adds to the prefix length of an IPv6 network, to tell the families apart. */
const V6_BASE = V4_BITS + 1
const DOT = 0x2e
const COLON = 0x3a

/** Bits of the address that was parsed last; an IPv4 address is in the first word alone. */
const words = new Int32Array(4)
/** Scratch of the IPv6 parser. */
const groups = new Uint16Array(8)

class PrefixNode<T> {
  readonly word0: number
  readonly word1: number
  readonly word2: number
  readonly word3: number
  /** How many bits of the words count. */
  readonly length: number
  value: T | null
  zero: PrefixNode<T> | null = null
  one: PrefixNode<T> | null = null

  /** Takes the first `length` bits of `words`. */
  constructor(length: number, value: T | null) {
    this.word0 = words[0]! & mask(length)
    this.word1 = words[1]! & mask(length - 32)
    this.word2 = words[2]! & mask(length - 64)
    this.word3 = words[3]! & mask(length - 96)
    this.length = length
    this.value = value
  }
}

/** A set of networks with a value each. */
export class IpPrefixTree<T extends {}> {
  #v4: PrefixNode<T> | null = null
  #v6: PrefixNode<T> | null = null

  /**
   * Adds a network (`10.0.0.0/8`) or a single address; bits after the prefix are ignored. A network
   * that is there already gets the new value.
   * @throws TypeError when the text is neither
   */
  insert(cidr: string, value: T): void {
    const length = parseCidr(cidr)
    if (length < 0) throw new TypeError(`"${cidr}" is not an IP address or network`)
    if (length <= V4_BITS) this.#v4 = insertNode(this.#v4, length, value)
    else this.#v6 = insertNode(this.#v6, length - V6_BASE, value)
  }

  /** The value of the longest network that holds the address; null if none does or it is not an address. */
  lookup(ip: string): T | null {
    const family = parseAddress(ip, ip.length, true)
    let node = family === 4 ? this.#v4 : family === 6 ? this.#v6 : null
    let found: T | null = null
    while (node !== null && commonBits(node, node.length) === node.length) {
      if (node.value !== null) found = node.value
      if (node.length === 128) break
      node = bitAt(node.length) === 0 ? node.zero : node.one
    }
    return found
  }
}

/** Whether the text is an IPv4 or IPv6 address, or one with a prefix length (`2001:db8::/32`). */
export function isIpOrCidr(text: string): boolean {
  return parseCidr(text) >= 0
}

/**
 * Whether every address of `inner` is in `outer`; both are addresses or networks.
 * @throws TypeError when one is neither
 */
export function networkContains(outer: string, inner: string): boolean {
  const outerLength = parseCidr(outer)
  if (outerLength < 0) throw new TypeError(`"${outer}" is not an IP address or network`)
  const outerBits = outerLength <= V4_BITS ? outerLength : outerLength - V6_BASE
  const node = new PrefixNode<never>(outerBits, null)
  const innerLength = parseCidr(inner)
  if (innerLength < 0) throw new TypeError(`"${inner}" is not an IP address or network`)
  if (outerLength <= V4_BITS !== innerLength <= V4_BITS) return false
  return innerLength >= outerLength && commonBits(node, outerBits) === outerBits
}

/**
 * A text that is the same for all addresses of an IPv6 network of `ipv6Bits` bits, however they are
 * written, and another one for each IPv4 address. What is no address stands for itself.
 */
export function networkOf(ip: string, ipv6Bits: number): string {
  if (ip.indexOf(':') < 0) return ip
  const family = parseAddress(ip, ip.length, true)
  if (family === 0) return ip
  const word = words[0]!
  if (family === 4)
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
  let text = ''
  for (let index = 0; index < 4 && index * 32 < ipv6Bits; index++) {
    text += `${((words[index]! & mask(ipv6Bits - index * 32)) >>> 0).toString(16)}:`
  }
  return text
}

function insertNode<T>(root: PrefixNode<T> | null, length: number, value: T): PrefixNode<T> {
  let parent: PrefixNode<T> | null = null
  let node = root
  let replacement: PrefixNode<T>
  while (true) {
    if (node === null) {
      replacement = new PrefixNode<T>(length, value)
      break
    }
    const common = commonBits(node, Math.min(node.length, length))
    if (common === node.length && common < length) {
      parent = node
      node = bitAt(common) === 0 ? node.zero : node.one
      continue
    }
    if (common === node.length) {
      node.value = value
      return root!
    }
    replacement = new PrefixNode<T>(common, common === length ? value : null)
    attach(replacement, node, nodeBitAt(node, common))
    if (common < length) attach(replacement, new PrefixNode<T>(length, value), bitAt(common))
    break
  }
  if (parent === null) return replacement
  attach(parent, replacement, bitAt(parent.length))
  return root!
}

function attach<T>(parent: PrefixNode<T>, child: PrefixNode<T>, bit: number): void {
  if (bit === 0) parent.zero = child
  else parent.one = child
}

/** A mask of the first `length` bits of a word; lengths below 0 and above 32 are cut. */
function mask(length: number): number {
  if (length <= 0) return 0
  return length >= 32 ? -1 : -1 << (32 - length)
}

/** How many leading bits `words` and the node share, at most `max`. */
function commonBits<T>(node: PrefixNode<T>, max: number): number {
  let common = Math.clz32(words[0]! ^ node.word0)
  if (common === 32 && max > 32) {
    common += Math.clz32(words[1]! ^ node.word1)
    if (common === 64) common += Math.clz32(words[2]! ^ node.word2)
    if (common === 96) common += Math.clz32(words[3]! ^ node.word3)
  }
  return Math.min(common, max)
}

function bitAt(index: number): number {
  return (words[index >> 5]! >>> (31 - (index & 31))) & 1
}

function nodeBitAt<T>(node: PrefixNode<T>, index: number): number {
  const word =
    index < 32 ? node.word0 : index < 64 ? node.word1 : index < 96 ? node.word2 : node.word3
  return (word >>> (31 - (index & 31))) & 1
}

/** Reads an address or network into `words`: 0..32 for IPv4, V6_BASE + 0..128 for IPv6, -1 if it is neither. */
function parseCidr(text: string): number {
  const slash = text.indexOf('/')
  const family = parseAddress(text, slash < 0 ? text.length : slash, false)
  if (family === 0) return -1
  // An IPv4-mapped network counts its prefix from the start of the IPv6 address.
  const mapped = family === 4 && text.indexOf(':') >= 0
  const bits = family === 4 && !mapped ? 32 : 128
  const length = slash < 0 ? bits : parseDecimal(text, slash + 1, text.length, bits)
  if (length < 0) return -1
  if (mapped) return length < 96 ? -1 : length - 96
  return family === 4 ? length : V6_BASE + length
}

/** Reads the address in [0, end) into `words`; returns 4, 6, or 0 if it is none. */
function parseAddress(text: string, end: number, zoneAllowed: boolean): number {
  for (let index = 0; index < end; index++) {
    const code = text.charCodeAt(index)
    if (code === DOT) return parseV4(text, 0, end) ? 4 : 0
    if (code === COLON) return parseV6(text, end, zoneAllowed)
  }
  return 0
}

/** Dotted decimal, without leading zeros, which some read as octal; into the first word. */
function parseV4(text: string, start: number, end: number): boolean {
  let word = 0
  let part = 0
  let digits = 0
  let dots = 0
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index)
    if (code === DOT) {
      if (digits === 0 || dots === 3) return false
      word = (word << 8) | part
      dots++
      part = 0
      digits = 0
    } else {
      if (code < 0x30 || code > 0x39 || (digits > 0 && part === 0)) return false
      part = part * 10 + code - 0x30
      digits++
      if (part > 255) return false
    }
  }
  if (dots !== 3 || digits === 0) return false
  words[0] = (word << 8) | part
  words[1] = 0
  words[2] = 0
  words[3] = 0
  return true
}

/** RFC 4291 2.2, all three forms; a zone (`%eth0`) is ignored where it is allowed. */
function parseV6(text: string, fullEnd: number, zoneAllowed: boolean): number {
  const zone = zoneAllowed ? text.indexOf('%') : -1
  const end = zone > 0 ? zone : fullEnd
  let count = 0
  let gap = -1
  let index = 0
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return 0
    gap = 0
    index = 2
  }
  while (index < end) {
    if (count === 8) return 0
    const start = index
    let group = 0
    let code = -1
    for (; index < end; index++) {
      code = text.charCodeAt(index)
      const digit = hexDigit(code)
      if (digit < 0) break
      group = (group << 4) | digit
    }
    if (index < end && code === DOT) {
      if (count > 6 || !parseV4(text, start, end)) return 0
      groups[count++] = words[0]! >>> 16
      groups[count++] = words[0]! & 0xffff
      break
    }
    if (index === start || index - start > 4) return 0
    groups[count++] = group
    if (index === end) break
    if (code !== COLON || ++index === end) return 0
    if (text.charCodeAt(index) === COLON) {
      if (gap >= 0) return 0
      gap = count
      index++
    }
  }
  if (gap < 0 ? count !== 8 : count > 7) return 0
  return joinGroups(count, gap)
}

/** Spreads `groups` over `words`, with zeros in the gap; 4 if the address is an IPv4-mapped one, else 6. */
function joinGroups(count: number, gap: number): number {
  if (gap >= 0) {
    const zeros = 8 - count
    groups.copyWithin(gap + zeros, gap, count)
    groups.fill(0, gap, gap + zeros)
  }
  for (let word = 0; word < 4; word++) {
    words[word] = (groups[2 * word]! << 16) | groups[2 * word + 1]!
  }
  if (words[0] !== 0 || words[1] !== 0 || words[2] !== 0xffff) return 6
  words[0] = words[3]!
  words[1] = 0
  words[2] = 0
  words[3] = 0
  return 4
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** The decimal number in [start, end), at most `max`; -1 if it is none. */
function parseDecimal(text: string, start: number, end: number, max: number): number {
  if (start === end || end - start > 3) return -1
  let value = 0
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x30 || code > 0x39 || (index > start && value === 0)) return -1
    value = value * 10 + code - 0x30
  }
  return value <= max ? value : -1
}
