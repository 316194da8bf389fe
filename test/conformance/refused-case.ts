// What the corpus of refused requests is made of.
import type { ErrorCode } from '../../src/errors.ts'

/** A request that is refused. */
export interface RefusedCase {
  readonly name: string
  /** The whole request; one character, one byte. */
  readonly bytes: string
  /** The codes that are right; several where it depends on how the bytes arrive. */
  readonly codes: readonly ErrorCode[]
  /** `body`: the head was right, so the service may have seen it, but never a complete request. */
  readonly where: 'head' | 'body'
}

export const HOST = 'shop.example'

/** A GET with these lines after Host. */
export function get(target: string, ...fields: readonly string[]): string {
  return `${[`GET ${target} HTTP/1.1`, `Host: ${HOST}`, ...fields].join('\r\n')}\r\n\r\n`
}

/** A POST with these lines after Host. */
export function post(fields: readonly string[], body: string): string {
  return `${['POST /victim HTTP/1.1', `Host: ${HOST}`, ...fields].join('\r\n')}\r\n\r\n${body}`
}

/** A case by its name. */
export type Row = readonly [name: string, bytes: string]

/** Cases whose head is refused with one of these codes. */
export function refusedHeads(codes: readonly ErrorCode[], rows: readonly Row[]): RefusedCase[] {
  return rows.map(([name, bytes]) => ({ name, bytes, codes, where: 'head' as const }))
}
