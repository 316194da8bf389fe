import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { allocatePulse, Pulse } from '../../observability/pulse.ts'
import { HeldBody, holdsBody, stagesHolding } from './held-body.ts'
import { Stage } from './stage.ts'

test('a held body is what came, in pieces of any size, and a copy of it', () => {
  const body = new HeldBody()
  const expected: Buffer[] = []
  for (const size of [0, 1, 4095, 1, 5000, 70_000, 3]) {
    const piece = Buffer.alloc(size, size % 251)
    expected.push(Buffer.from(piece))
    body.add(piece)
    piece.fill(0xff)
  }
  assert.ok(body.bytes.equals(Buffer.concat(expected)))
  assert.equal(new HeldBody().bytes.length, 0)
})

test('many small pieces take the memory of their bytes', () => {
  const body = new HeldBody()
  for (let i = 0; i < 100_000; i++) body.add(Buffer.from([i & 0xff]))
  assert.equal(body.bytes.length, 100_000)
  assert.ok(body.bytes.buffer.byteLength <= 2 * 100_000)
})

describe('stages that hold', () => {
  const counts: string[] = []
  const mark = new Pulse(allocatePulse(1), 0).mark(0, 0)

  function stage(id: string, heldBytesMax: number, mode: 'enforce' | 'shadow' = 'enforce'): Stage {
    const counters = {
      rejected: () => void counts.push(`${id} rejected`),
      shadowRejected: () => void counts.push(`${id} would have`),
      failed() {},
      conditionFailed() {},
    }
    const hooks = { onRequestBody: (_: unknown, chunk: Buffer | null) => chunk }
    return new Stage({ policy: id, id, mode }, hooks, null, counters, mark, () => {}, heldBytesMax)
  }

  const stages = [stage('none', 0), stage('wide', 100), stage('tried', 10, 'shadow')]

  test('count where they take part', () => {
    assert.equal(holdsBody(stages, 0b111), true)
    assert.equal(holdsBody(stages, 0b001), false)
    assert.equal(holdsBody(stages, 0b010), true)
  })

  test('refuse what is longer, or leave if they are only tried', () => {
    assert.equal(stagesHolding(stages, 0b111, 10), 0b111)
    assert.deepEqual(counts.splice(0), [])
    assert.equal(stagesHolding(stages, 0b111, 11), 0b011)
    assert.deepEqual(counts.splice(0), ['tried would have'])
    assert.equal(stagesHolding(stages, 0b011, 101), -1)
    assert.deepEqual(counts.splice(0), ['wide rejected'])
    assert.equal(stagesHolding(stages, 0b001, 101), 0b001)
  })

  test('need a hook to hold for', () => {
    const { counters } = stages[0]!
    const idle = new Stage(
      { policy: 'x', id: 'x', mode: 'enforce' },
      {},
      null,
      counters,
      mark,
      () => {},
      9,
    )
    assert.equal(idle.heldBytesMax, 0)
  })
})
