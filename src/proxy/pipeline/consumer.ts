// Who calls, and where the configuration's consumers are looked up.

/** Who calls, once an authenticating policy knows. */
export interface Consumer {
  readonly id: string
  readonly groups: readonly string[]
  /** The claims of the token that said so, or null. */
  readonly claims: Readonly<Record<string, unknown>> | null
}

/** How the caller showed who it is. */
export interface Authentication {
  /** The id of the stage that accepted the credential. */
  readonly stage: string
  /** The scheme of `WWW-Authenticate` (RFC 9110 11.6.1) that a challenge would name: `Bearer`, `Basic`, ... */
  readonly scheme: string
}

/** A consumer that the configuration names. */
export interface KnownConsumer extends Consumer {
  readonly metadata: Readonly<Record<string, string>>
  /** Its own limits by the id of a `rate-limit` or `quota` stage; each overrides what the policy says. */
  readonly limits: Readonly<
    Record<string, { readonly limit: number; readonly burst: number | null }>
  >
}

/** An API key at rest, with whose it is. */
export interface KeyEntry {
  readonly consumer: KnownConsumer
  /** SHA-256 of the key, 32 bytes in base64url. */
  readonly hash: string
  /** What people call it; '' if it has no name. */
  readonly label: string
  /** Wall clock, ms since 1970, from which it is refused; Infinity if it never ends. */
  readonly expiresAtMs: number
}

/** A password at rest, with whose it is. */
export interface PasswordEntry {
  readonly consumer: KnownConsumer
  /** `$argon2id$...`, or bcrypt: `$2a$...`, `$2b$...`, `$2y$...`. */
  readonly hash: string
}

/** A shared key for message signatures (RFC 9421), with whose it is. */
export interface SignatureKeyEntry {
  readonly consumer: KnownConsumer
  readonly algorithm: string
  /** PEM of a public key, or base64 of a shared secret. */
  readonly key: string
}

/** The consumers of the configuration. */
export interface ConsumerDirectory {
  byId(id: string): KnownConsumer | null
  /**
   * By what a token of this issuer says, which must have been verified: its subject, or else the client
   * it was issued to; null where it says neither.
   */
  byToken(issuer: string, subject: string | null, client: string | null): KnownConsumer | null
  /** By the SHA-256 of an API key, 32 bytes in base64url. */
  byKeyHash(hash: string): KeyEntry | null
  byUsername(name: string): PasswordEntry | null
  bySignatureKey(keyId: string): SignatureKeyEntry | null
  /** A password hash that a guess can be held against where nobody has the name: it costs what one does. */
  decoyHash(name: string): string | null
}
