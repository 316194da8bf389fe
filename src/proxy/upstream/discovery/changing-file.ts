// A small file that others edit, parsed again whenever it has changed.
import { readFile, stat } from 'node:fs/promises'

/** The parsed content of a file, as fresh as the last `read`. A file that cannot be read is empty. */
export class ChangingFile<Content> {
  readonly #path: string
  readonly #parse: (text: string) => Content
  #content: Content
  #version = ''

  constructor(path: string, parse: (text: string) => Content) {
    this.#path = path
    this.#parse = parse
    this.#content = parse('')
  }

  async read(): Promise<Content> {
    const version = await this.#versionOnDisk()
    if (version !== this.#version) {
      this.#content = this.#parse(await readFile(this.#path, 'utf8').catch(() => ''))
      this.#version = version
    }
    return this.#content
  }

  async #versionOnDisk(): Promise<string> {
    try {
      const { ino, mtimeNs, size } = await stat(this.#path, { bigint: true })
      return `${ino} ${mtimeNs} ${size}`
    } catch {
      return ''
    }
  }
}
