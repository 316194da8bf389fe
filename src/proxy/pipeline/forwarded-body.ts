// A request's body on its way out: framed, joined to the head where that is one write less, and kept
// as long as it may have to be sent again.
import type { Clock } from '../../lib/clock.ts'
import type { ClientConnection } from '../http/client-connection.ts'
import type { BodyTaker } from './body-intake.ts'

/** Body data up to this size joins the head in one write. */
const JOINED_BYTES_MAX = 16384

/** The body of one forwarded request. */
export class ForwardedBody implements BodyTaker {
  readonly #isChunked: boolean
  #connection: ClientConnection | null = null
  /** A head that waits for the first data, to leave in one write with it. */
  #head = ''
  /** What was sent so far; null when it cannot be sent again. */
  #sent: Buffer[] | null
  #sentBytesLeft: number
  #ended = false
  #trailers = ''
  readonly #clock: Clock
  /** When the client had sent all of it. */
  endedAt = 0

  /** @param replayBytesMax what of it is kept at most; below 0 for nothing, not even of an empty body. */
  constructor(isChunked: boolean, replayBytesMax: number, clock: Clock) {
    this.#isChunked = isChunked
    this.#clock = clock
    this.#sent = replayBytesMax < 0 ? null : []
    this.#sentBytesLeft = replayBytesMax
  }

  /** Whether all that was sent could be sent once more. */
  get canReplay(): boolean {
    return this.#sent !== null
  }

  /** Whether the client has sent all of it. */
  get isComplete(): boolean {
    return this.#ended
  }

  /** Sends what an earlier attempt sent, and from now on what comes, here; after `head` if that is not ''. */
  attach(connection: ClientConnection, head: string): void {
    this.#connection = connection
    this.#head = head
    const sent = this.#sent ?? []
    for (let i = 0; i < sent.length; i++) this.#send(sent[i]!)
    if (this.#ended) this.#sendEnd()
    // Body that came with the head has joined it by the end of this turn; later body is not waited for.
    if (this.#head !== '') process.nextTick(sendHead, this)
  }

  /** The connection takes no more of it. */
  detach(): void {
    this.#connection = null
    this.#head = ''
  }

  /** Sends the head if no data took it along. */
  sendHead(): void {
    const head = this.#head
    this.#head = ''
    if (head !== '') this.#connection?.sendData(head)
  }

  onRequestData(data: Buffer): boolean {
    if (this.#sent !== null) {
      this.#sentBytesLeft -= data.length
      if (this.#sentBytesLeft >= 0) this.#sent.push(data)
      else this.#sent = null
    }
    return this.#send(data)
  }

  /** The end; it is told again with each attempt. */
  onRequestEnd(trailers: string): void {
    if (this.#ended) return
    this.#ended = true
    this.endedAt = this.#clock.now()
    this.#trailers = trailers
    this.#sendEnd()
  }

  #send(data: Buffer): boolean {
    const connection = this.#connection
    if (connection === null) return true
    const size = this.#isChunked ? `${data.length.toString(16)}\r\n` : ''
    const end = this.#isChunked ? '\r\n' : ''
    const head = this.#head
    this.#head = ''
    if (data.length <= JOINED_BYTES_MAX) {
      if (head === '' && !this.#isChunked) return connection.sendData(data)
      return connection.sendData(head + size + data.toString('latin1') + end)
    }
    connection.cork()
    if (head !== '' || size !== '') connection.sendData(head + size)
    let takesMore = connection.sendData(data)
    if (end !== '') takesMore = connection.sendData(end)
    connection.uncork()
    return takesMore
  }

  #sendEnd(): void {
    const connection = this.#connection
    if (connection === null) return
    const head = this.#head
    this.#head = ''
    if (this.#isChunked) connection.sendData(`${head}0\r\n${this.#trailers}\r\n`)
    else if (head !== '') connection.sendData(head)
    connection.endRequest()
  }
}

function sendHead(body: ForwardedBody): void {
  body.sendHead()
}
