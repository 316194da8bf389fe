// Checks of consumers: no credential names two of them, and what they name exists.

import { VerificationKey } from '../../policies/http-signature/verification-key.ts'
import { type DataPath, errorAt, type Finding, formatPath, warningAt } from '../problem.ts'
import type { ConsumerDocument } from '../schema.ts'
import type { CheckInput } from './input.ts'

/** All checks of consumers. */
export function checkConsumers(input: CheckInput): Finding[] {
  const findings: Finding[] = []
  checkDuplicates(input, findings)
  checkLimits(input, findings)
  checkSignatureKeys(input, findings)
  const now = Date.now()
  for (const { id, keys } of input.document.consumers) {
    for (const [index, { expiresAtMs }] of keys.entries()) {
      if (expiresAtMs === null || expiresAtMs > now) continue
      findings.push(
        warningAt(['consumers', id, 'keys', index, 'expires'], 'this key has expired already'),
      )
    }
  }
  return findings
}

function checkDuplicates(input: CheckInput, findings: Finding[]): void {
  const keys = new Map<string, DataPath>()
  const names = new Map<string, DataPath>()
  const keyIds = new Map<string, DataPath>()
  const tokens = new Map<string, DataPath>()
  for (const consumer of input.document.consumers) {
    const path = ['consumers', consumer.id]
    for (const [index, { hash }] of consumer.keys.entries()) {
      note(keys, hash, [...path, 'keys', index], 'this key', findings)
    }
    for (const [index, { username }] of consumer.passwords.entries()) {
      const what = `the user name "${username}"`
      note(names, username, passwordPath(input, consumer, index), what, findings)
    }
    for (const [index, { keyId }] of consumer.signatureKeys.entries()) {
      note(keyIds, keyId, [...path, 'signatureKeys', index], `the keyId "${keyId}"`, findings)
    }
    for (const [index, token] of consumer.tokens.entries()) {
      note(tokens, JSON.stringify(token), [...path, 'tokens', index], 'this token', findings)
    }
  }
}

function note(
  seen: Map<string, DataPath>,
  value: string,
  path: DataPath,
  what: string,
  findings: Finding[],
): void {
  const before = seen.get(value)
  if (before === undefined) seen.set(value, path)
  else findings.push(errorAt(path, `${what} stands at ${formatPath(before)} already`))
}

/** Where one of a consumer's passwords was written; all of a text of htpasswd lines have one place. */
function passwordPath(input: CheckInput, { id }: ConsumerDocument, index: number): DataPath {
  const path = ['consumers', id]
  const own = input.written([...path, 'password']) === undefined ? 0 : 1
  if (index < own) return [...path, 'password']
  const list = input.written([...path, 'passwords'])
  const place = index - own
  return Array.isArray(list) && place < list.length
    ? [...path, 'passwords', place]
    : [...path, 'htpasswd']
}

function checkSignatureKeys(input: CheckInput, findings: Finding[]): void {
  for (const { id, signatureKeys } of input.document.consumers) {
    for (const [index, { algorithm, key }] of signatureKeys.entries()) {
      try {
        new VerificationKey(algorithm, key)
      } catch (error) {
        const path = ['consumers', id, 'signatureKeys', index, 'key']
        findings.push(errorAt(path, `this key cannot be used: ${(error as Error).message}`))
      }
    }
  }
}

function checkLimits(input: CheckInput, findings: Finding[]): void {
  if (!input.isComplete) return
  const { use, routes, consumers } = input.document
  const stages = new Set(use.map(({ id }) => id))
  for (const route of routes) for (const { id } of route.use) stages.add(id)
  for (const { id, limits } of consumers) {
    for (const stage of Object.keys(limits)) {
      if (stages.has(stage)) continue
      findings.push(
        warningAt(
          ['consumers', id, 'limits', stage],
          `no policy has the id "${stage}", so this limit is none`,
          {
            at: 'key',
            expected: 'the `id` of a `rate-limit` or `quota`, or the name it is used by',
          },
        ),
      )
    }
  }
}
