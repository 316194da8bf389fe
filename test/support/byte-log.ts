// A record of bytes that grows without copying all of it each time.

/** Everything that came over one connection in one direction. */
export class ByteLog {
  #buffer = Buffer.allocUnsafe(4096)
  #length = 0

  append(bytes: Buffer): void {
    const length = this.#length + bytes.length
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.#buffer.length * 2))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    bytes.copy(this.#buffer, this.#length)
    this.#length = length
  }

  get length(): number {
    return this.#length
  }

  /** All bytes so far. They stay what they are: bytes are only ever added. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }
}
