// Published examples and vectors of JOSE against the code that verifies tokens: RFC 7515, 7517, 7519,
// 7520, 7638, 8037 and 9449, and Project Wycheproof. jose-attacks.test.ts has what attackers try.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ALGORITHM_NAMES, type AlgorithmName } from '../../src/policies/jwt/algorithms.ts'
import { decodeBase64Url, readHeader, splitToken } from '../../src/policies/jwt/compact-token.ts'
import { ProofChecker, thumbprintOf } from '../../src/policies/jwt/dpop-proof.ts'
import { jwt } from '../../src/policies/jwt/jwt.ts'
import { configuredKeySet, type KeySet } from '../../src/policies/jwt/key-set.ts'
import { signerOf } from '../../src/policies/jwt/token-verifier.ts'
import { hooksOf, testEnvironment } from '../../src/policies/policy.test-support.ts'
import { testExchange } from '../../src/proxy/pipeline/exchange.test-support.ts'
import { INERT_STORE } from '../../src/proxy/pipeline/inert-environment.ts'
import type { Reply } from '../../src/proxy/pipeline/reply.ts'

/** The payload of a JWS, or why it is refused: all the steps before claims are looked at. */
function verified(jws: string, keys: KeySet): { payload: string } | { refused: string } {
  const parts = splitToken(jws)
  if (typeof parts === 'string') return { refused: parts }
  const header = readHeader(jws.slice(0, parts.headerEnd))
  if (typeof header === 'string') return { refused: header }
  const signer = signerOf(jws, parts.payloadEnd, header, keys)
  if (typeof signer === 'string') return { refused: signer }
  const payload = decodeBase64Url(jws.slice(parts.headerEnd + 1, parts.payloadEnd))
  return payload === null ? { refused: 'malformed' } : { payload: payload.toString() }
}

function keysOf(jwk: unknown, allowed: readonly AlgorithmName[] = ALGORITHM_NAMES): KeySet {
  return configuredKeySet([JSON.stringify(jwk)], allowed)
}

const JOE =
  'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
const JOE_CLAIMS = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
const A1_KEY = {
  kty: 'oct',
  k: 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
}
const A1_TOKEN = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`
const A2_KEY = {
  kty: 'RSA',
  n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
  e: 'AQAB',
}
const A2_TOKEN = `eyJhbGciOiJSUzI1NiJ9.${JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`
const A3_KEY = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
}
const A3_TOKEN = `eyJhbGciOiJFUzI1NiJ9.${JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`
const A4_KEY = {
  kty: 'EC',
  crv: 'P-521',
  x: 'AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk',
  y: 'ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2',
}
const A4_TOKEN =
  'eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn'
const ED25519_KEY = {
  kty: 'OKP',
  crv: 'Ed25519',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
}
const ED25519_TOKEN =
  'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'

describe('the examples of RFC 7515 and RFC 8037', () => {
  const examples: readonly (readonly [string, unknown, string, string])[] = [
    ['A.1, HS256', A1_KEY, A1_TOKEN, JOE_CLAIMS],
    ['A.2, RS256', A2_KEY, A2_TOKEN, JOE_CLAIMS],
    ['A.3, ES256', A3_KEY, A3_TOKEN, JOE_CLAIMS],
    ['A.4, ES512', A4_KEY, A4_TOKEN, 'Payload'],
    ['8037 A.4, EdDSA', ED25519_KEY, ED25519_TOKEN, 'Example of Ed25519 signing'],
  ]
  for (const [name, jwk, token, payload] of examples) {
    test(`${name} verifies, and with no bit of it changed`, () => {
      const keys = keysOf(jwk)
      assert.deepEqual(verified(token, keys), { payload })
      for (let at = 0; at < token.length; at += 7) {
        if (token[at] === '.') continue
        const other = token[at] === 'A' ? 'B' : 'A'
        const changed = token.slice(0, at) + other + token.slice(at + 1)
        assert.ok('refused' in verified(changed, keys), `character ${at}`)
      }
    })
  }

  test('A.5 is not signed', () => {
    const token = `eyJhbGciOiJub25lIn0.${JOE}.`
    assert.deepEqual(verified(token, keysOf(A1_KEY)), { refused: 'unsigned' })
  })

  test('E: an extension that is demanded and not known is refused', () => {
    const header =
      'eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0'
    assert.deepEqual(verified(`${header}.RkFJTA.`, keysOf(A1_KEY)), { refused: 'unknown_critical' })
  })
})

/** What the whole policy says of a token at a time, in seconds. */
function decided(
  settings: Parameters<typeof hooksOf<typeof jwt.settings>>[1],
  token: string,
  at: number,
): string {
  const environment = testEnvironment()
  environment.clock.advance(at * 1000 - environment.clock.wallTime())
  const exchange = testExchange({ fields: [`Authorization: Bearer ${token}`] })
  const verdict = hooksOf(jwt, settings, environment).onRequest!(exchange) as Reply | undefined
  if (verdict === undefined) return exchange.consumer!.id
  return (JSON.parse(verdict.body.toString()) as { reason: string }).reason
}

describe('the example of RFC 7519 3.1', () => {
  const settings = {
    keys: JSON.stringify(A1_KEY),
    issuer: 'joe',
    unchecked: ['aud' as const],
    consumer: { id: 'iss' },
    tolerance: '0ms',
  }

  test('is valid until its time', () => {
    assert.equal(decided(settings, A1_TOKEN, 1_300_819_379), 'joe')
    assert.equal(decided(settings, A1_TOKEN, 1_300_819_380), 'expired')
  })

  test('is not when an audience is asked for, and 6.1 never is', () => {
    const { unchecked, ...strict } = settings
    assert.deepEqual(unchecked, ['aud'])
    assert.equal(decided({ ...strict, audience: 'joe' }, A1_TOKEN, 1_300_000_000), 'missing_claim')
    assert.equal(decided(settings, `eyJhbGciOiJub25lIn0.${JOE}.`, 1_300_000_000), 'unsigned')
  })
})

test('RFC 7638 3.1, RFC 8037 A.3 and RFC 9449 6.1: thumbprints', () => {
  const rsa = {
    kty: 'RSA',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
    e: 'AQAB',
    alg: 'RS256',
    kid: '2011-04-29',
  }
  assert.equal(thumbprintOf(rsa), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  assert.equal(thumbprintOf(ED25519_KEY), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  const ec = {
    kty: 'EC',
    x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
    y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
    crv: 'P-256',
  }
  assert.equal(thumbprintOf(ec), '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
})

test('RFC 7517 A.1: of a set, the keys for signatures are taken', () => {
  const p256 = {
    kty: 'EC',
    crv: 'P-256',
    x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
  }
  const { keys } = keysOf({
    keys: [
      { ...p256, use: 'enc', kid: '1' },
      { ...A2_KEY, alg: 'RS256', kid: '2011-04-29' },
    ],
  })
  assert.deepEqual(
    keys.map(({ kid }) => kid),
    ['2011-04-29'],
  )
})

describe('RFC 9449 7.1: the proof for a protected resource', () => {
  const proof =
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA'
  const token = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU'
  const thumbprint = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I'

  function checked(host: string, method = 'GET', text = token): unknown {
    const { clock } = testEnvironment()
    clock.advance(1_562_262_620_000 - clock.wallTime())
    const rules = { origin: null, nonces: null, toleranceMs: 0, bytesMax: 8_192 }
    const checker = new ProofChecker(rules, { ...INERT_STORE, claim: () => true }, clock)
    const target = '/protectedresource'
    const fields = [`DPoP: ${proof}`]
    const exchange = testExchange({ method, target, host, fields, scheme: 'https' })
    return checker.check(exchange, text, thumbprint)
  }

  test('is good for its request and token, and for no other', () => {
    assert.equal(checked('resource.example.org'), null)
    assert.equal(checked('resource.example.com'), 'proof_request')
    assert.equal(checked('resource.example.org', 'POST'), 'proof_request')
    assert.equal(checked('resource.example.org', 'GET', `${token}x`), 'proof_token')
  })
})

interface Vectors {
  readonly testGroups: readonly {
    readonly private?: unknown
    readonly public?: unknown
    readonly tests: readonly {
      readonly tcId: number
      readonly comment: string
      readonly jws: string | object
      readonly result: 'valid' | 'invalid'
    }[]
  }[]
}

/** Verdicts that differ from the vectors', by file and number. */
const DIFFERENT: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  json_web_signature_test: {
    346: 'the key is for PS256, the signature is PS384',
    347: 'the key is for an algorithm that does not exist (ES521)',
    350: 'the key is for PS256, the signature is PS384',
    351: 'the key is for an algorithm that does not exist (ES521)',
    367: 'to the letter the token of the valid vector 357: the padding got lost on the way',
    370: 'the same',
    372: 'a character that is not base64url, in the header',
    373: 'a character that is not base64url, in the payload',
  },
  json_web_key_test: {
    1: 'secrets and public keys may be in one set of the configuration: neither can be used as the other',
    4: 'of two keys with one name each is tried',
  },
}

for (const file of Object.keys(DIFFERENT)) {
  test(`Wycheproof, ${file}`, () => {
    const path = join(import.meta.dirname, 'vectors/wycheproof', `${file}.json`)
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as Vectors
    const different: number[] = []
    let count = 0
    for (const group of testGroups) {
      let keys: KeySet | null = null
      try {
        keys = keysOf(group.public ?? group.private)
      } catch {
        // Keys that may not be used at all: whatever they are to verify is refused.
      }
      for (const { tcId, jws, result } of group.tests) {
        count++
        const isValid = keys !== null && typeof jws === 'string' && 'payload' in verified(jws, keys)
        if (isValid !== (result === 'valid')) different.push(tcId)
      }
    }
    assert.ok(count > 20)
    assert.deepEqual(different, Object.keys(DIFFERENT[file]!).map(Number))
  })
}
