// Every algorithm under the one contract, bare and under sticky sessions.
import { balancerContract } from './balancer.contract.ts'
import { BALANCERS, type BalanceSettings, pickerFactory } from './registry.ts'

const ALL: readonly BalanceSettings[] = [
  ...(Object.keys(BALANCERS) as (keyof typeof BALANCERS)[]),
  { hash: { by: 'header', name: 'X-User' } },
  { hash: { by: 'cookie', name: 'user' } },
  { hash: { by: 'client-ip' } },
  { hash: { by: 'path' } },
]

for (const balance of ALL) {
  const name = typeof balance === 'string' ? balance : `hash by ${balance.hash.by}`
  balancerContract(name, pickerFactory(balance))
  balancerContract(
    `${name}, sticky`,
    pickerFactory(balance, { cookie: 'stay', secret: 'not a secret' }),
  )
}
