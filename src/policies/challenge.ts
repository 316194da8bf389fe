// What `WWW-Authenticate` says (RFC 9110 11.6.1) when a token is missing or refused: RFC 6750 3,
// RFC 9449 7.1, and where to get one (RFC 9728 5.1).
import { z } from 'zod'

/** The parameters of a challenge; those that are null are left out. */
export interface ChallengeParameters {
  readonly realm?: string | null
  /** `invalid_token` and the like; none when the client sent no credential. */
  readonly error?: string | null
  readonly error_description?: string | null
  /** Space-separated. */
  readonly scope?: string | null
  /** URL of the metadata of this resource. */
  readonly resource_metadata?: string | null
  /** Signature algorithms for DPoP proofs, space-separated. */
  readonly algs?: string | null
}

/** Writes one challenge. Values must be printable ASCII. */
export function challenge(scheme: string, parameters: ChallengeParameters): string {
  const written: string[] = []
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value !== 'string') continue
    written.push(`${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)
  }
  return written.length === 0 ? scheme : `${scheme} ${written.join(', ')}`
}

/** The setting `realm`. */
export function realmSetting() {
  return z
    .string()
    .regex(/^[\x20-\x7e]{1,200}$/, 'expected up to 200 printable ASCII characters')
    .optional()
}

/** The setting `resourceMetadata`. */
export function resourceMetadataSetting() {
  return z
    .string()
    .regex(/^https?:\/\/[\x21-\x7e]{1,1000}$/, 'expected a URL like https://api.example/...')
    .optional()
}
