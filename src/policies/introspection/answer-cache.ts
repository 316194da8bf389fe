// What the authorization server said about tokens, by the SHA-256 of each, within a bound of bytes.
import { hash } from 'node:crypto'
import type { Identity } from '../claims.ts'
import type { ConsumerRefusal } from '../token-consumer.ts'

/** What is known of a token: who has it, or why it is refused. */
export interface Finding {
  readonly identity: Identity | null
  /** Null when there is an identity. */
  readonly refusal: Refusal | null
  /** Wall clock, ms since 1970: until then this may be believed. */
  readonly endsAtMs: number
  /** Roughly what it takes of the memory. */
  readonly bytes: number
}

/** Why a token is refused; a member of the problem document. */
export type Refusal =
  | ConsumerRefusal
  | 'repeated'
  | 'malformed'
  | 'too_large'
  | 'inactive'
  | 'expired'
  | 'not_yet_valid'
  | 'malformed_claim'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'no_subject'
  | 'bound_elsewhere'

/** The name under which a token is remembered. */
export function nameOfToken(token: string): string {
  return hash('sha256', token, 'base64url')
}

/** Findings, the oldest of which make room for new ones. */
export class AnswerCache {
  readonly #bytesMax: number
  readonly #findings = new Map<string, Finding>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** What may still be believed. */
  get(name: string, nowMs: number): Finding | null {
    const finding = this.#findings.get(name)
    if (finding === undefined) return null
    if (nowMs < finding.endsAtMs) return finding
    this.#drop(name, finding)
    return null
  }

  set(name: string, finding: Finding, nowMs: number): void {
    const before = this.#findings.get(name)
    if (before !== undefined) this.#drop(name, before)
    if (finding.bytes > this.#bytesMax || finding.endsAtMs <= nowMs) return
    this.#findings.set(name, finding)
    this.#bytes += finding.bytes
    for (const [oldest, { bytes }] of this.#findings) {
      if (this.#bytes <= this.#bytesMax) return
      this.#findings.delete(oldest)
      this.#bytes -= bytes
    }
  }

  #drop(name: string, { bytes }: Finding): void {
    this.#findings.delete(name)
    this.#bytes -= bytes
  }
}
