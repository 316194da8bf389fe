// What of an answer is kept to be compared with another one.
import type { NotCompared } from '../../../observability/mirror-metrics.ts'
import type { ResponseHead } from '../../http/message-head.ts'
import type { IgnoredPaths } from './json-difference.ts'
import { KeptBody, type MirrorRoom } from './mirror-room.ts'

/** What of two answers must be equal. */
export interface CompareSettings {
  readonly status: boolean
  /** Lower-case names. */
  readonly headers: readonly string[]
  /** What of JSON bodies may differ; null when bodies are not compared. */
  readonly ignored: IgnoredPaths | null
  /** Of a body, as it comes and decompressed. */
  readonly bodyBytesMax: number
}

/** One answer as far as it has come. */
export class CapturedAnswer {
  /** 0 while no head has come. */
  status = 0
  /** Values of the compared headers, in their order. */
  headers: (string | null)[] = []
  /** Content-Encoding, in lower case; '' for none. */
  encoding = ''
  /** Whether nothing more will come. */
  isOver = false
  /** Whether all that is compared has come. */
  isComplete = false
  /** Why the body is not kept, if it is not; then nothing more is waited for. */
  lost: NotCompared | null = null
  readonly #settings: CompareSettings
  readonly #body: KeptBody | null

  constructor(settings: CompareSettings, room: MirrorRoom) {
    this.#settings = settings
    this.#body = settings.ignored === null ? null : new KeptBody(room, settings.bodyBytesMax)
  }

  get body(): Buffer {
    return this.#body!.bytes
  }

  begin(head: ResponseHead): void {
    const { headers } = this.#settings
    this.status = head.status
    for (let i = 0; i < headers.length; i++) this.headers.push(head.field(headers[i]!))
    this.encoding = head.field('content-encoding')?.trim().toLowerCase() ?? ''
    if (this.#body === null) this.end(true)
  }

  /** A piece of the body; the memory is only lent. */
  add(data: Buffer): void {
    if (this.isOver || this.#body === null || this.lost !== null) return
    this.lost = this.#body.add(data)
    if (this.lost === null) return
    this.#body.release()
    this.end(true)
  }

  /** Nothing more comes. The first call counts. */
  end(isComplete: boolean): void {
    if (this.isOver) return
    this.isOver = true
    this.isComplete = isComplete
  }

  release(): void {
    this.#body?.release()
  }
}
