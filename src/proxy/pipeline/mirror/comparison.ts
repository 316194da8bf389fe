// Compares two captured answers: status, then headers, then bodies as JSON. Bodies are decompressed
// outside the event loop, and looked at in slices.
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type { MirrorComparison, NotCompared } from '../../../observability/mirror-metrics.ts'
import type { CapturedAnswer, CompareSettings } from './captured-answer.ts'
import { type IgnoredPaths, JsonDifference } from './json-difference.ts'

/** What came of a comparison. */
export type Compared =
  | {
      readonly result: MirrorComparison
      /** Statuses, names of headers or JSON Pointers; never what stands there. */
      readonly differs: readonly string[]
    }
  | { readonly notCompared: NotCompared }

/** Members of JSON values that are compared before others get their turn. */
const SLICE_MEMBERS = 2000
const SAME: Compared = { result: 'same', differs: [] }

type Decompress = (data: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>

const gunzip: Decompress = promisify(zlib.gunzip)
const DECOMPRESS: ReadonlyMap<string, Decompress> = new Map<string, Decompress>([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  ['deflate', promisify(zlib.inflate)],
  ['br', promisify(zlib.brotliDecompress)],
  ['zstd', promisify(zlib.zstdDecompress)],
])

/** Compares the answer of a service with the mirrored one. Never rejects. */
export async function compareAnswers(
  own: CapturedAnswer,
  mirrored: CapturedAnswer,
  settings: CompareSettings,
): Promise<Compared> {
  if (settings.status && own.status !== mirrored.status) {
    return { result: 'different_status', differs: [`${own.status}`, `${mirrored.status}`] }
  }
  const names = settings.headers.filter((_, i) => own.headers[i] !== mirrored.headers[i])
  if (names.length > 0) return { result: 'different_header', differs: names }
  if (settings.ignored === null) return SAME
  const lost = own.lost ?? mirrored.lost
  if (lost !== null) return { notCompared: lost }
  if (own.encoding === mirrored.encoding && own.body.equals(mirrored.body)) return SAME
  return await compareBodies(own, mirrored, settings.ignored, settings.bodyBytesMax)
}

async function compareBodies(
  own: CapturedAnswer,
  mirrored: CapturedAnswer,
  ignored: IgnoredPaths,
  bytesMax: number,
): Promise<Compared> {
  const a = await plainBody(own, bytesMax)
  const b = await plainBody(mirrored, bytesMax)
  if (typeof a === 'string') return { notCompared: a }
  if (typeof b === 'string') return { notCompared: b }
  if (a.equals(b)) return SAME
  // Each is parsed in a turn of its own: that cannot be done in slices.
  await nextTurn()
  const first = parsed(a)
  if (first === NOT_JSON) return { notCompared: 'not_json' }
  await nextTurn()
  const second = parsed(b)
  if (second === NOT_JSON) return { result: 'different_body', differs: [''] }
  await nextTurn()
  const difference = new JsonDifference(first, second, ignored)
  while (!difference.step(SLICE_MEMBERS)) await nextTurn()
  const { pointers } = difference
  return pointers.length === 0 ? SAME : { result: 'different_body', differs: pointers }
}

/** The body without its Content-Encoding, or why there is none. */
async function plainBody(
  answer: CapturedAnswer,
  bytesMax: number,
): Promise<Buffer | 'too_large' | 'encoding'> {
  const { body, encoding } = answer
  if (encoding === '' || encoding === 'identity' || body.length === 0) return body
  const decompress = DECOMPRESS.get(encoding)
  if (decompress === undefined) return 'encoding'
  try {
    return await decompress(body, { maxOutputLength: bytesMax })
  } catch (error) {
    const isLong = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    return isLong ? 'too_large' : 'encoding'
  }
}

const NOT_JSON = Symbol('not JSON')

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return NOT_JSON
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
