// Checks of what consumers and policies expect of each other: a policy that could let nobody in, and
// tokens that no policy looks at.
import type { CredentialUse } from '../../proxy/pipeline/policy.ts'
import { type Finding, warningAt } from '../problem.ts'
import type { CheckInput } from './input.ts'

const NAMES: Readonly<Record<CredentialUse['kind'], string>> = {
  keys: 'keys',
  passwords: 'a password',
  signatureKeys: 'signatureKeys',
  tokens: 'tokens of this issuer',
}

/** All checks of credentials. */
export function checkCredentials(input: CheckInput): Finding[] {
  if (!input.isComplete) return []
  const findings: Finding[] = []
  const issuers = new Set<string>()
  const policies = new Map(input.policies.map((policy) => [policy.name, policy]))
  for (const { use, path } of input.uses()) {
    for (const wanted of policies.get(use.policy)?.credentials?.(use.settings) ?? []) {
      for (const issuer of wanted.issuers ?? []) issuers.add(issuer)
      if (!wanted.isNeeded || hasAny(input, wanted)) continue
      const message = `no consumer has ${NAMES[wanted.kind]}, so nobody can be let in here`
      findings.push(warningAt(path, message))
    }
  }
  for (const { id, tokens } of input.document.consumers) {
    for (const [index, { issuer }] of tokens.entries()) {
      if (issuers.has(issuer)) continue
      findings.push(
        warningAt(
          ['consumers', id, 'tokens', index, 'issuer'],
          "no policy checks tokens for this issuer, so these are nobody's",
          { expected: 'the `issuer` of a `jwt`, `introspection` or `oidc-login`, to the letter' },
        ),
      )
    }
  }
  return findings
}

function hasAny({ document }: CheckInput, { kind, issuers = [] }: CredentialUse): boolean {
  if (kind !== 'tokens') return document.consumers.some((consumer) => consumer[kind].length > 0)
  return document.consumers.some(({ tokens }) =>
    tokens.some(({ issuer }) => issuers.includes(issuer)),
  )
}
