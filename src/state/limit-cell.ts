// The arithmetic of limits on one cell of shared memory. All of it is exact: N units at one moment are
// N units, whatever the rate, because cells hold whole numbers.
import type { CellTable } from './cell-table.ts'
import type { Limit } from './store.ts'

/** A cell in words: three of its key, one spare, when it ends (ms), what it holds, counts of slices. */
export const LIMIT_CELL_WORDS = 16
const COUNTS = 8
/** GCRA counts time in parts of the time that one unit takes to come back. */
const TICKS_PER_UNIT = 1024
/** A window is this many slices, and the one that is filling. */
const SLICES = 7
const RING = SLICES + 1
const RING_MASK = RING - 1

/** When the cell ends, in ms: from then on it is as good as none. */
export function endOf(table: CellTable, cell: number): number {
  return table.numbers[(cell >> 1) + 2]!
}

export function setEnd(table: CellTable, cell: number, endMs: number): void {
  table.numbers[(cell >> 1) + 2] = endMs
}

/** A count; for GCRA the tick at which all units will be back, for a window its newest slice. */
export function valueIn(table: CellTable, cell: number): number {
  return table.numbers[(cell >> 1) + 3]!
}

export function setValue(table: CellTable, cell: number, value: number): void {
  table.numbers[(cell >> 1) + 3] = value
}

/** What a look at one limit found; one object per store, used again and again. */
export interface Finding {
  allowed: boolean
  remaining: number
  resetMs: number
  retryAfterMs: number
}

/** Looks what `cost` units would find under the limit, and takes none. `cell` is -1 for an unknown key. */
export function look(
  table: CellTable,
  cell: number,
  limit: Limit,
  cost: number,
  now: number,
  into: Finding,
): void {
  const live = cell !== -1 && endOf(table, cell) > now
  if (limit.algorithm === 'gcra') lookGcra(live ? valueIn(table, cell) : 0, limit, cost, now, into)
  else lookWindow(table, live ? cell : -1, limit, cost, now, into)
}

/** Takes `cost` units after a look that allowed them. The cell must have its key. */
export function take(
  table: CellTable,
  cell: number,
  limit: Limit,
  cost: number,
  now: number,
): void {
  if (limit.algorithm === 'gcra') takeGcra(table, cell, limit, cost, now)
  else takeWindow(table, cell, limit, cost, now)
}

function ticksPerMs(limit: Limit): number {
  return (limit.limit * TICKS_PER_UNIT) / limit.periodMs
}

function lookGcra(value: number, limit: Limit, cost: number, now: number, into: Finding): void {
  const scale = ticksPerMs(limit)
  const present = Math.floor(now * scale)
  const tolerance = limit.burst * TICKS_PER_UNIT
  const owed = Math.max(0, value - present)
  const after = owed + cost * TICKS_PER_UNIT
  into.allowed = cost === 0 || after <= tolerance
  const settled = into.allowed ? after : owed
  into.remaining = Math.max(0, Math.floor((tolerance - settled) / TICKS_PER_UNIT))
  into.resetMs = settled / scale
  if (into.allowed) into.retryAfterMs = 0
  else if (cost > limit.burst) into.retryAfterMs = -1
  else {
    const missing = after - tolerance
    const waitMs = missing / scale
    // Where the sum is rounded down, that moment is still a tick too early.
    const isEarly = Math.floor((now + waitMs) * scale) < present + missing
    into.retryAfterMs = isEarly ? waitMs + 1 / scale : waitMs
  }
}

function takeGcra(table: CellTable, cell: number, limit: Limit, cost: number, now: number): void {
  const scale = ticksPerMs(limit)
  const present = Math.floor(now * scale)
  const before = endOf(table, cell) > now ? Math.max(valueIn(table, cell), present) : present
  const value = before + cost * TICKS_PER_UNIT
  setValue(table, cell, value)
  // A tick late rather than early: a cell may be forgotten only when it says nothing any more.
  setEnd(table, cell, (value + 1) / scale)
}

function lookWindow(
  table: CellTable,
  cell: number,
  limit: Limit,
  cost: number,
  now: number,
  into: Finding,
): void {
  const size = sliceMs(limit)
  const present = Math.floor(now / size)
  const used = cell === -1 ? 0 : usedInWindow(table, cell, present)
  into.allowed = cost === 0 || used + cost <= limit.limit
  into.remaining = Math.max(0, limit.limit - used - (into.allowed ? cost : 0))
  if (into.allowed && cost > 0) into.resetMs = (present + RING) * size - now
  else into.resetMs = cell === -1 ? 0 : endOf(table, cell) - now
  if (into.allowed) into.retryAfterMs = 0
  else if (cost > limit.limit) into.retryAfterMs = -1
  else {
    const wanted = used + cost - limit.limit
    into.retryAfterMs = (sliceThatFrees(table, cell, present, wanted) + RING) * size - now
  }
}

/** Units taken in the slice that is filling and the seven before: those of a whole period, at least. */
function usedInWindow(table: CellTable, cell: number, present: number): number {
  const { words } = table
  const newest = valueIn(table, cell)
  let used = 0
  for (let slice = newest; slice > present - RING && slice > newest - RING; slice--) {
    used += words[cell + COUNTS + (slice & RING_MASK)]!
  }
  return used
}

/** The slice that must pass out of the window until `wanted` units are free. */
function sliceThatFrees(table: CellTable, cell: number, present: number, wanted: number): number {
  const { words } = table
  const newest = valueIn(table, cell)
  let freed = 0
  for (let slice = Math.max(newest, present) - SLICES; slice < newest; slice++) {
    freed += words[cell + COUNTS + (slice & RING_MASK)]!
    if (freed >= wanted) return slice
  }
  return newest
}

function takeWindow(table: CellTable, cell: number, limit: Limit, cost: number, now: number): void {
  const { words } = table
  const size = sliceMs(limit)
  const present = Math.floor(now / size)
  const newest = endOf(table, cell) > now ? valueIn(table, cell) : 0
  for (let slice = Math.max(newest, present - RING) + 1; slice <= present; slice++) {
    words[cell + COUNTS + (slice & RING_MASK)] = 0
  }
  setValue(table, cell, present)
  words[cell + COUNTS + (present & RING_MASK)]! += cost
  setEnd(table, cell, (present + RING) * size)
}

/** A whole number, so that slices begin and end at exact times. */
function sliceMs(limit: Limit): number {
  return Math.ceil(limit.periodMs / SLICES)
}
