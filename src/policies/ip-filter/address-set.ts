// A set of addresses and networks.
import { IpPrefixTree, isIpOrCidr } from '../../lib/ip-prefix-tree.ts'

const Place = { outside: 1, inside: 2 } as const

/** Networks, out of a list or a file. */
export class AddressSet {
  readonly #tree = new IpPrefixTree<number>()

  /** @throws TypeError when an entry is neither an address nor a network. */
  constructor(networks: Iterable<string>) {
    this.#tree.insert('0.0.0.0/0', Place.outside)
    this.#tree.insert('::/0', Place.outside)
    for (const network of networks) this.#tree.insert(network, Place.inside)
  }

  /**
   * Reads one network a line; `#` begins a comment.
   * @throws Error naming the first line that is none.
   */
  static parse(text: string): AddressSet {
    const networks: string[] = []
    for (const [index, line] of text.split('\n').entries()) {
      const entry = line.split('#', 1)[0]!.trim()
      if (entry === '') continue
      if (!isIpOrCidr(entry)) {
        throw new Error(`line ${index + 1} is not an address or network: ${entry.slice(0, 60)}`)
      }
      networks.push(entry)
    }
    return new AddressSet(networks)
  }

  /** Whether the address is in one of the networks; null when the text is no address. */
  holds(ip: string): boolean | null {
    const place = this.#tree.lookup(ip)
    return place === null ? null : place === Place.inside
  }
}
