// Requests that two parsers could read in two ways. Each must be refused with its code, or reach the
// service in a form that leaves no choice. Written by hand from RFC 9110, RFC 9112 and DESIGN.md 5.
import type { RefusedCase } from './refused-case.ts'
import { REFUSED_FRAMING } from './refused-framing.ts'
import { REFUSED_HEADS } from './refused-heads.ts'

/** Every request that is refused. */
export const REFUSED: readonly RefusedCase[] = [...REFUSED_HEADS, ...REFUSED_FRAMING]
