// Networks are read strictly and the longest one that holds an address wins.
import assert from 'node:assert/strict'
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { IpPrefixTree, isIpOrCidr, networkContains } from './ip-prefix-tree.ts'

function treeOf(...cidrs: string[]): IpPrefixTree<string> {
  const tree = new IpPrefixTree<string>()
  for (const cidr of cidrs) tree.insert(cidr, cidr)
  return tree
}

describe('ip prefix tree', () => {
  test('the longest network wins, in whatever order they came', () => {
    const cidrs = ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3']
    for (const order of [cidrs, cidrs.toReversed()]) {
      const tree = treeOf(...order)
      assert.equal(tree.lookup('10.1.2.3'), '10.1.2.3')
      assert.equal(tree.lookup('10.1.2.4'), '10.1.2.0/24')
      assert.equal(tree.lookup('10.1.3.4'), '10.1.0.0/16')
      assert.equal(tree.lookup('10.2.3.4'), '10.0.0.0/8')
      assert.equal(tree.lookup('11.2.3.4'), '0.0.0.0/0')
    }
  })

  test('the families are apart, an IPv4-mapped address is the IPv4 address', () => {
    const tree = treeOf('::/0', '192.0.2.0/24', '2001:db8::/32')
    assert.equal(tree.lookup('::ffff:192.0.2.7'), '192.0.2.0/24')
    assert.equal(tree.lookup('::FFFF:c000:207'), '192.0.2.0/24')
    assert.equal(tree.lookup('198.51.100.1'), null)
    assert.equal(tree.lookup('2001:DB8:0:0:1::'), '2001:db8::/32')
    assert.equal(tree.lookup('2001:db9::'), '::/0')
    assert.equal(treeOf('::ffff:10.0.0.0/104').lookup('10.9.9.9'), '::ffff:10.0.0.0/104')
  })

  test('bits after the prefix are ignored, and a network set twice has the last value', () => {
    const tree = new IpPrefixTree<number>()
    tree.insert('10.1.2.3/8', 1)
    assert.equal(tree.lookup('10.200.0.1'), 1)
    tree.insert('10.0.0.0/8', 2)
    assert.equal(tree.lookup('10.200.0.1'), 2)
  })

  test('the zone of a link-local peer is ignored, but no network has one', () => {
    assert.equal(treeOf('fe80::/10').lookup('fe80::1%eth0'), 'fe80::/10')
    assert.equal(isIpOrCidr('fe80::1%eth0'), false)
  })

  const wrong = [
    '',
    '10',
    '10.0.0',
    '10.0.0.0.0',
    '10.0.0.256',
    '10.0.0.01',
    '10.0.0.',
    '.10.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    ' 10.0.0.0',
    '1e1.0.0.0',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    '1:',
    ':1',
    '::/129',
    '[::1]',
    'g::',
    '::1.2.3',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::ffff:10.0.0.0/8',
    '%',
    '::1%',
    'localhost',
    '1:2:3:4:5:6:7:8::',
  ]
  for (const text of wrong) {
    test(`refuses "${text}"`, () => {
      assert.equal(isIpOrCidr(text), false)
      assert.throws(() => treeOf(text), TypeError)
    })
  }

  test('what is not an address is in no network', () => {
    const tree = treeOf('0.0.0.0/0', '::/0')
    for (const text of ['', 'unknown', '1.2.3', '1.2.3.4:80', '[::1]'])
      assert.equal(tree.lookup(text), null)
  })
})

describe('networks within networks', () => {
  test('one contains another of the same family', () => {
    assert.equal(networkContains('10.0.0.0/8', '10.1.0.0/16'), true)
    assert.equal(networkContains('10.1.0.0/16', '10.0.0.0/8'), false)
    assert.equal(networkContains('10.0.0.1', '10.0.0.1/32'), true)
    assert.equal(networkContains('0.0.0.0/0', '11.0.0.0/8'), true)
    assert.equal(networkContains('::/0', '11.0.0.0/8'), false)
    assert.equal(networkContains('10.0.0.0/8', '::ffff:10.1.0.0/112'), true)
    assert.equal(networkContains('2001:db8::/32', '2001:db8:1::/48'), true)
    assert.equal(networkContains('2001:db8::/32', '2001:db9::/32'), false)
    assert.throws(() => networkContains('10.0.0.0/8', 'x'), TypeError)
  })
})

describe('ip prefix tree against node', () => {
  test('accepts what node accepts as an address', () => {
    const unit = fc.constantFrom('0', '1', 'f', '255', ':', '::', '.', '00')
    const text = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ unit, maxLength: 20 }))
    fc.assert(
      fc.property(text, (address) => {
        assert.equal(isIpOrCidr(address), isIPv4(address) || isIPv6(address), address)
      }),
    )
  })

  test('the longest of many networks is the one a scan finds', () => {
    const network = fc.oneof(
      fc.tuple(
        fc
          .tuple(fc.constantFrom(10, 11, 192), fc.nat(3), fc.nat(255), fc.nat(255))
          .map((it) => it.join('.')),
        fc.nat(32),
      ),
      fc.tuple(
        fc
          .tuple(fc.constantFrom('2001', '2002', 'fe80'), fc.nat(0xffff))
          .map(([a, b]) => `${a}:${b.toString(16)}::1`),
        fc.nat(128),
      ),
    )
    fc.assert(
      fc.property(
        fc.array(network, { maxLength: 12 }),
        fc.array(network, { maxLength: 6 }),
        (networks, probes) => {
          const tree = treeOf(...networks.map(([address, bits]) => `${address}/${bits}`))
          for (const [probe] of [...probes, ...networks]) {
            const family = probe.includes(':') ? 'ipv6' : 'ipv4'
            let longest = -1
            for (const [address, bits] of networks) {
              if (address.includes(':') !== probe.includes(':')) continue
              const list = new BlockList()
              list.addSubnet(address, bits, family)
              if (list.check(probe, family)) longest = Math.max(longest, bits)
            }
            const found = tree.lookup(probe)
            assert.equal(found === null ? -1 : Number(found.split('/')[1]), longest)
          }
        },
      ),
    )
  })
})
