// Consumers: who may call, by id. What they prove it with stands here as hashes only.
import { z } from 'zod'
import { importance } from './service-concurrency.ts'
import { refuse } from './value.ts'

const ID = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/
const ID_PROBLEM = {
  error: 'this is not an id that a consumer can have',
  params: { expected: 'letters, digits and `._@+-`, at most 128' },
} as z.core.$ZodCheckRegexParams
const GROUP = /^[!-+\--~]{1,128}$/
const KEY_HASH = /^sha256:([0-9a-fA-F]{64})$/
const ARGON2ID =
  /^\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,3})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,171}$/
const BCRYPT = /^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$/
const DATE = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/

/** What one verification may cost: KiB, passes and lanes of argon2id, and the cost factor of bcrypt. */
const ARGON2_MAX = { memory: 262_144, passes: 16, lanes: 16 }
const BCRYPT_COST = { min: 4, max: 16 }

const HASH_EXPECTED =
  'a hash of argon2id ($argon2id$...) or bcrypt ($2b$..., what `htpasswd -nB NAME` prints)'

/** Other forms of passwords, and what is wrong with each. */
const WEAK: readonly (readonly [RegExp, string])[] = [
  [/^\$apr1\$/, 'apr1 (MD5) can be guessed too fast'],
  [/^\{SHA\}/i, 'SHA-1 without a salt can be guessed too fast'],
  [/^\{SSHA\}/i, 'SHA-1 can be guessed too fast'],
  [/^\$[156]\$/, 'this form of crypt is not supported'],
  [/^\$argon2[id]\$/, 'of argon2 only the form argon2id is taken'],
]

const keyHash = z.string().transform((text, ctx) => {
  const match = KEY_HASH.exec(text)
  if (match !== null) return Buffer.from(match[1]!, 'hex').toString('base64url')
  refuse(
    ctx,
    'this is not the hash of a key; the key itself must not stand here',
    '`sha256:` and 64 hex digits, as `gatehouse keys create` prints them (or `printf %s KEY | sha256sum`)',
  )
  return z.NEVER
})

const moment = z.string().transform((text, ctx) => {
  const ms = DATE.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(ms)) return ms
  refuse(ctx, 'this is not a date', 'a date like 2030-12-31, or 2030-12-31T18:00:00Z')
  return z.NEVER
})

const keySchema = z.union([
  keyHash.transform((hash) => ({ hash, label: '', expiresAtMs: null as number | null })),
  z
    .strictObject({
      hash: keyHash.describe('`sha256:` and the SHA-256 of the key in hex.'),
      label: z.string().max(128).prefault('').describe('What people call this key.'),
      expires: moment
        .optional()
        .describe('From then on it is refused; a date alone means its beginning, in UTC.'),
    })
    .transform(({ hash, label, expires = null }) => ({ hash, label, expiresAtMs: expires })),
])

/** What is wrong with a password at rest, or null. Never holds a part of it. */
function passwordProblem(text: string): string | null {
  const argon2 = ARGON2ID.exec(text)
  if (argon2 !== null) {
    const [memory, passes, lanes] = argon2.slice(1).map(Number) as [number, number, number]
    const isDear =
      memory > ARGON2_MAX.memory || passes > ARGON2_MAX.passes || lanes > ARGON2_MAX.lanes
    if (isDear) return 'verifying this hash costs too much: at most m=262144, t=16 and p=16'
    return memory < 8 * lanes || passes < 1 || lanes < 1
      ? 'these are no settings of argon2id'
      : null
  }
  const bcrypt = BCRYPT.exec(text)
  if (bcrypt !== null) {
    const cost = Number(bcrypt[1])
    return cost < BCRYPT_COST.min || cost > BCRYPT_COST.max
      ? `the cost of bcrypt must be from ${BCRYPT_COST.min} to ${BCRYPT_COST.max}`
      : null
  }
  return (
    WEAK.find(([form]) => form.test(text))?.[1] ??
    'this is not the hash of a password; the password itself must not stand here'
  )
}

function username() {
  return z
    .string()
    .regex(/^[^\p{Cc}:]{1,255}$/u, 'a user name has 1 to 255 characters and no colon')
    .transform((text) => text.normalize('NFC'))
}

const passwordHash = z.string().superRefine((text, ctx) => {
  const problem = passwordProblem(text)
  if (problem !== null) refuse(ctx, problem, HASH_EXPECTED)
})

const htpasswdSchema = z.string().transform((text, ctx) => {
  const entries: { username: string; hash: string }[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const name = username().safeParse(line.slice(0, Math.max(colon, 0)))
    const hash = line.slice(colon + 1).trim()
    const problem = name.success ? passwordProblem(hash) : 'this is not a line of htpasswd'
    if (problem === null) entries.push({ username: name.data!, hash })
    else refuse(ctx, `line ${index + 1}: ${problem}`, lineExpected(name.success))
  }
  return entries
})

function lineExpected(hasName: boolean): string {
  return hasName
    ? HASH_EXPECTED
    : 'lines like NAME:$2y$..., as `htpasswd -nB NAME` prints them; a file is read by `${file:PATH}`'
}

const signatureKeySchema = z.strictObject({
  keyId: z.string().min(1).max(256).describe('The `keyid` by which a signature names this key.'),
  algorithm: z
    .enum([
      'hmac-sha256',
      'ed25519',
      'ecdsa-p256-sha256',
      'ecdsa-p384-sha384',
      'rsa-pss-sha512',
      'rsa-v1_5-sha256',
    ])
    .describe('The one algorithm of this key, by its name in RFC 9421 6.2.'),
  key: z
    .string()
    .min(1)
    .describe('The public key as PEM, or, for `hmac-sha256`, the shared secret as base64.'),
})

const tokenSchema = z
  .strictObject({
    issuer: z
      .string()
      .min(1)
      .describe('Who issues the token (`iss`), to the letter. A policy has to check it.'),
    subject: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('Its subject (`sub`), whatever claim names the caller otherwise.'),
    client: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe(
        'The client it was issued to (`client_id`, or `azp`), whoever uses that; for programs that ' +
          'call on their own behalf.',
      ),
  })
  .transform(({ issuer, subject = null, client = null }, ctx) => {
    if ((subject === null) === (client === null)) {
      refuse(ctx, 'a token belongs to a subject or to a client', 'one of `subject` and `client`')
    }
    return { issuer, subject, client }
  })

const limitSchema = z
  .strictObject({
    limit: z.number().min(1).describe('In the place of what the policy says.'),
    burst: z.number().min(1).optional().describe('The same for its burst.'),
  })
  .transform(({ limit, burst = null }) => ({ limit, burst }))

const consumerSchema = z.strictObject({
  groups: z
    .array(z.string().regex(GROUP, 'a group is 1 to 128 visible characters without a comma'))
    .prefault([])
    .describe('What it belongs to; `require` and conditions ask for it.'),
  importance: importance()
    .optional()
    .describe(
      "How much its requests matter in the queue of a service, in place of the route's `importance`.",
    ),
  metadata: z
    .record(z.string(), z.string())
    .prefault({})
    .describe('Notes, like the team to ask. They decide nothing.'),
  keys: z
    .array(keySchema)
    .prefault([])
    .describe(
      'API keys, as their SHA-256: `sha256:...`, or `{ hash, label, expires }`. `gatehouse keys create` makes one.',
    ),
  password: passwordHash
    .optional()
    .describe('A password, as its hash (argon2id or bcrypt). The user name is the id.'),
  passwords: z
    .array(
      z.strictObject({
        username: username().describe('Who signs in with it.'),
        hash: passwordHash.describe('The hash of the password: argon2id or bcrypt.'),
      }),
    )
    .prefault([])
    .describe('Passwords under other user names.'),
  htpasswd: htpasswdSchema
    .prefault('')
    .describe(
      'More of them as lines of htpasswd (bcrypt); `${file:users.htpasswd}` reads them from a file.',
    ),
  signatureKeys: z
    .array(signatureKeySchema)
    .prefault([])
    .describe('Keys for signed requests (RFC 9421).'),
  tokens: z
    .array(tokenSchema)
    .prefault([])
    .describe(
      'Tokens that are its own: `{ issuer, subject }` or `{ issuer, client }`. Without one, no token ' +
        'ever makes its holder this consumer, whatever name it bears.',
    ),
  limits: z
    .record(z.string(), limitSchema)
    .prefault({})
    .describe('Its own limits, by the id of a `rate-limit` or `quota`.'),
})

/** `consumers`: by id. The output is a list, with all passwords of one in one list. */
export function consumersSchema() {
  return z.record(z.string().regex(ID, ID_PROBLEM), consumerSchema).transform((written) =>
    Object.entries(written).map(([id, { importance, password, passwords, htpasswd, ...rest }]) => ({
      id,
      ...rest,
      importance: importance ?? null,
      /** In the order `password`, `passwords`, `htpasswd`. */
      passwords: [
        ...(password === undefined ? [] : [{ username: id, hash: password }]),
        ...passwords,
        ...htpasswd,
      ],
    })),
  )
}

export type ConsumerDocument = z.output<ReturnType<typeof consumersSchema>>[number]
