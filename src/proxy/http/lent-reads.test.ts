import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, test } from 'node:test'
import { readSocket } from './lent-reads.ts'

const server = net.createServer()
server.listen(0, '127.0.0.1')
await once(server, 'listening')
after(() => server.close())

/** An accepted socket and who is connected with it. */
async function connected(): Promise<{ accepted: net.Socket; client: net.Socket }> {
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [net.Socket]
  after(() => client.destroy())
  return { accepted, client }
}

/** What arrives until the other side ends, and in whose memory. */
async function readAll(accepted: net.Socket): Promise<{ lent: string; owned: string }> {
  const buffer = Buffer.alloc(16)
  const read = { lent: '', owned: '' }
  readSocket(accepted, buffer, {
    onOwned: (data) => {
      read.owned += data.toString()
    },
    onLent: (data, size) => {
      assert.equal(data, buffer)
      read.lent += data.toString('latin1', 0, size)
    },
    onDefect: (error) => {
      throw error
    },
  })
  accepted.resume()
  await once(accepted, 'end')
  accepted.destroy()
  return read
}

test('this version of Node lends: nothing is allocated for what a client sends', async () => {
  const { accepted, client } = await connected()
  client.end('a text longer than the buffer that is lent')
  assert.deepEqual(await readAll(accepted), {
    lent: 'a text longer than the buffer that is lent',
    owned: '',
  })
})

test('what was put back before comes first, in memory of its own', async () => {
  const { accepted, client } = await connected()
  accepted.pause()
  accepted.unshift(Buffer.from('first '))
  client.end('second')
  assert.deepEqual(await readAll(accepted), { lent: 'second', owned: 'first ' })
})

test('a socket that cannot lend is read all the same', async () => {
  const { accepted, client } = await connected()
  const handle = (accepted as unknown as { _handle: { useUserBuffer: unknown } })._handle
  handle.useUserBuffer = undefined
  client.end('everything')
  assert.deepEqual(await readAll(accepted), { lent: '', owned: 'everything' })
})

test('a reader that throws loses its socket, and nothing else', async () => {
  const { accepted, client } = await connected()
  const defects: unknown[] = []
  readSocket(accepted, Buffer.alloc(16), {
    onOwned: () => {},
    onLent: () => {
      throw new Error('a defect')
    },
    onDefect: (error) => defects.push(error),
  })
  client.on('error', () => {})
  client.write('x')
  await once(accepted, 'close')
  assert.deepEqual(defects, [new Error('a defect')])
})
