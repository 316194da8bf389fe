// Origins of web pages in the settings of policies: exact ones, and the subdomains of a host.
import { z } from 'zod'

/** `https://shop.example`, `https://*.shop.example`, each with an optional port. */
const ORIGIN =
  /^[a-z][a-z0-9+.-]*:\/\/(\*\.)?(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::([1-9][0-9]{0,4}))?$/
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' }

/** What is wrong with an allowed origin as it is written, or null. Browsers compare byte by byte. */
export function originProblem(written: string): string | null {
  const match = ORIGIN.exec(written)
  if (match === null) {
    return 'expected an origin as browsers send it: scheme, lower-case host, and port if it is not the default, like https://shop.example or https://*.shop.example'
  }
  const scheme = written.slice(0, written.indexOf(':'))
  if (match[3] !== undefined && match[3] === DEFAULT_PORTS[scheme]) {
    return `browsers leave out the default port: write "${written.slice(0, -match[3].length - 1)}"`
  }
  return null
}

/** A schema for an allowed origin. */
export function origin() {
  return z.string().superRefine((text, ctx) => {
    const message =
      text === '*' ? 'to allow every origin, write `origins: "*"`' : originProblem(text)
    if (message !== null) ctx.addIssue({ code: 'custom', message })
  })
}

/** The allowed origins of one route. */
export class OriginSet {
  readonly #exact = new Set<string>()
  /** What an origin with a wildcard begins with: `https://`. */
  readonly #prefixes: string[] = []
  /** What it ends with: `.shop.example:8443`. */
  readonly #suffixes: string[] = []

  constructor(origins: readonly string[]) {
    for (const origin of origins) {
      const star = origin.indexOf('*')
      if (star < 0) this.#exact.add(origin)
      else {
        this.#prefixes.push(origin.slice(0, star))
        this.#suffixes.push(origin.slice(star + 1))
      }
    }
  }

  /** Whether an Origin header's value is allowed. */
  has(origin: string): boolean {
    if (this.#exact.has(origin)) return true
    for (let index = 0; index < this.#prefixes.length; index++) {
      const prefix = this.#prefixes[index]!
      const suffix = this.#suffixes[index]!
      const start = prefix.length
      const end = origin.length - suffix.length
      if (end <= start || !origin.startsWith(prefix) || !origin.endsWith(suffix)) continue
      if (isHostPart(origin, start, end)) return true
    }
    return false
  }
}

/** Whether what stands for the `*` is one or more labels of a host, and nothing else. */
function isHostPart(text: string, start: number, end: number): boolean {
  let labelLength = 0
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index)
    if (code === 0x2e) {
      if (labelLength === 0) return false
      labelLength = 0
      continue
    }
    const isLetter = code >= 0x61 && code <= 0x7a
    const isDigit = code >= 0x30 && code <= 0x39
    if (!isLetter && !isDigit && code !== 0x2d && code !== 0x5f) return false
    labelLength++
  }
  return labelLength > 0
}
