// A WebSocket service in a few lines, enough to prove that real clients get through: it accepts every
// handshake and sends each short text message back.
import { createHash } from 'node:crypto'
import type { UpstreamConnection } from './recording-upstream.ts'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const TEXT = 0x81
const CLOSE = 0x88

/** Echoes frames of less than 126 bytes until a close frame comes (RFC 6455 5). */
export async function echoesWebSocket(connection: UpstreamConnection): Promise<void> {
  const request = await connection.request()
  const key = request.header('sec-websocket-key') ?? ''
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64')
  await connection.send(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  let at = request.head.length
  const echo = (): void => {
    const { received } = connection
    while (received.length >= at + 6) {
      const length = received[at + 1]! & 0x7f
      if (received.length < at + 6 + length) return
      const mask = received.subarray(at + 2, at + 6)
      const payload = Buffer.from(received.subarray(at + 6, at + 6 + length))
      for (let i = 0; i < length; i++) payload[i]! ^= mask[i % 4]!
      const opcode = received[at]!
      at += 6 + length
      connection.socket.write(Buffer.concat([Buffer.from([opcode, length]), payload]))
      if (opcode === CLOSE) connection.end()
      else if (opcode !== TEXT) throw new Error(`frame ${opcode} is not of this service`)
    }
  }
  connection.socket.on('data', echo)
  echo()
}
