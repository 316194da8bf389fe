import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Endpoint } from '../endpoint.ts'
import { contextOf, endpointsOf, requestOf } from './balancer.contract.ts'
import type { BalancedRequest } from './balancer.ts'
import { hash } from './hash.ts'
import { keyHash } from './key-hash.ts'
import { maglevTable } from './maglev-table.ts'

const KEYS = 20_000

function members(count: number, weight = 1): { name: string; weight: number }[] {
  return Array.from({ length: count }, (_, index) => ({ name: `10.0.0.${index}:80`, weight }))
}

function sharesOf(table: Uint16Array, count: number): number[] {
  const shares = new Array(count).fill(0)
  for (const index of table) shares[index] += 1 / table.length
  return shares
}

describe('hash', () => {
  test('a key stays where it is, on every picker made from the same list', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1, 1, 1])
    const first = hash({ by: 'path' })(endpoints, contextOf(table, 1))
    const second = hash({ by: 'path' })([...endpoints].reverse(), contextOf(table, 2))
    for (let id = 0; id < 1000; id += 1) {
      assert.equal(first.pick(requestOf(id), []), second.pick(requestOf(id), []))
    }
  })

  test('an ejected endpoint moves its own keys only, and they come back', () => {
    const { table, endpoints } = endpointsOf(new Array(10).fill(1))
    const picker = hash({ by: 'path' })(endpoints, contextOf(table))
    const before = Array.from({ length: KEYS }, (_, id) => picker.pick(requestOf(id), []))
    endpoints[4]!.usable = false
    const took = endpoints.map(() => 0)
    before.forEach((endpoint, id) => {
      const now = picker.pick(requestOf(id), [])!
      if (endpoint !== endpoints[4]) assert.equal(now, endpoint)
      else took[now.slot]! += 1
    })
    const moved = took.reduce((sum, count) => sum + count)
    for (const count of took.filter((_, slot) => slot !== 4)) {
      assert.ok(Math.abs(count / moved - 1 / 9) < 0.04, `uneven heirs: ${took}`)
    }
    endpoints[4]!.usable = true
    before.forEach((endpoint, id) => {
      assert.equal(picker.pick(requestOf(id), []), endpoint)
    })
  })

  test('a new endpoint takes its share and hardly moves other keys', () => {
    const { table, endpoints } = endpointsOf(new Array(11).fill(1))
    const pick = (list: readonly Endpoint[]): (Endpoint | null)[] => {
      const picker = hash({ by: 'path' })(list, contextOf(table))
      return Array.from({ length: KEYS }, (_, id) => picker.pick(requestOf(id), []))
    }
    const before = pick(endpoints.slice(0, 10))
    const after = pick(endpoints)
    const toNew = after.filter((endpoint) => endpoint === endpoints[10]).length / KEYS
    const moved = after.filter((endpoint, id) => endpoint !== before[id]).length / KEYS
    assert.ok(Math.abs(toNew - 1 / 11) < 0.01, `the new one got ${toNew}`)
    assert.ok(moved < toNew + 0.03, `${moved} moved for ${toNew}`)
  })

  test('each kind of key is the one that decides', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1, 1, 1, 1, 1, 1])
    const asked: string[] = []
    const request = (id: number): BalancedRequest => ({
      path: `/${id}`,
      clientIp: `10.9.8.${id}`,
      requestHeader: (name) => {
        asked.push(`header ${name}`)
        return `${id}`
      },
      cookie: (name) => {
        asked.push(`cookie ${name}`)
        return `${id}`
      },
    })
    for (const [key, field] of [
      [{ by: 'header', name: 'X-User' }, 'requestHeader'],
      [{ by: 'cookie', name: 'User' }, 'cookie'],
      [{ by: 'client-ip' }, 'clientIp'],
      [{ by: 'path' }, 'path'],
    ] as const) {
      const picker = hash(key)(endpoints, contextOf(table))
      for (let id = 0; id < 50; id += 1) {
        const same = { ...request(id + 1), [field]: request(id)[field] }
        assert.equal(picker.pick(request(id), []), picker.pick(same, []))
      }
    }
    assert.deepEqual([...new Set(asked)], ['header x-user', 'cookie User'])
  })

  test('addresses of one name are endpoints of their own', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1])
    const named = endpoints.map(
      ({ key, host, slot }) =>
        new Endpoint(table, {
          ...{ key, host, slot, port: 80, secure: false, serverName: '', weight: 1 },
          ...{ priority: 0, serviceSlot: 0 },
          address: 'shop.test:80',
        }),
    )
    const picker = hash({ by: 'path' })(named, contextOf(table))
    const counts = named.map(() => 0)
    for (let id = 0; id < 3000; id += 1) counts[picker.pick(requestOf(id), [])!.slot]! += 1
    for (const count of counts) assert.ok(Math.abs(count - 1000) < 120, `${counts}`)
    const shuffled = hash({ by: 'path' })([...named].reverse(), contextOf(table))
    for (let id = 0; id < 300; id += 1) {
      assert.equal(shuffled.pick(requestOf(id), []), picker.pick(requestOf(id), []))
    }
  })

  test('requests without a key go everywhere', () => {
    const { table, endpoints } = endpointsOf([1, 1, 1])
    const picker = hash({ by: 'header', name: 'x-user' })(endpoints, contextOf(table))
    for (const value of [null, '']) {
      const request = { ...requestOf(1), requestHeader: () => value }
      const seen = new Set(Array.from({ length: 100 }, () => picker.pick(request, [])))
      assert.equal(seen.size, 3)
    }
  })

  test('shares of the table are even to a hundredth', () => {
    for (const count of [2, 3, 10, 100]) {
      for (const share of sharesOf(maglevTable(members(count)), count)) {
        assert.ok(Math.abs(share * count - 1) < 0.01, `${share} of ${count}`)
      }
    }
  })

  test('even the lightest of many holds a place', () => {
    const list = [...members(99, 1000), { name: 'light:80', weight: 1 }]
    assert.ok(sharesOf(maglevTable(list), 100)[99]! > 0)
  })

  test('the key hash is that of FNV-1a, finished', () => {
    // FNV-1a of 'a' is e40c292c; the finisher is checked by how far one changed letter reaches.
    let flips = 0
    for (let id = 0; id < 2000; id += 1) {
      let difference = keyHash(`user-${id}`) ^ keyHash(`user-${id}x`)
      for (; difference !== 0; difference &= difference - 1) flips += 1
    }
    assert.ok(Math.abs(flips / 2000 - 16) < 0.5, `${flips / 2000} of 32 bits change`)
    assert.equal(keyHash(''), keyHash(''))
    assert.notEqual(keyHash('ab'), keyHash('ba'))
  })
})
