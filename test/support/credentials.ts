// What tests of authentication share: credentials as the configuration has them, and headers as a
// service got them.
import { hashSync } from '@node-rs/bcrypt'
import { apiKeyHash } from '../../src/policies/api-key-format.ts'
import type { Echo } from './recording-upstream.ts'

/** The entry of `keys` that knows an API key. */
export function keyLine(key: string): string {
  return `sha256:${Buffer.from(apiKeyHash(key), 'base64url').toString('hex')}`
}

/** A password at rest that costs next to nothing to verify. */
export function cheapHash(password: string): string {
  return hashSync(password, 4)
}

/** The value of `Authorization` for a user name and a password. */
export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** All values of a header, by its name in lower case, that a service got. */
export function fieldsOf(echo: Echo, lowerName: string): string[] {
  return echo.fields.filter(
    (_, at) => at % 2 === 1 && echo.fields[at - 1]!.toLowerCase() === lowerName,
  )
}
