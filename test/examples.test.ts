// Every example is a configuration without a problem, for the gateway and for editors.
import assert from 'node:assert/strict'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { documentJsonSchema } from '../src/config/json-schema.ts'
import { loadDocument, loadForPeople } from '../src/config/load.ts'
import { Authority } from './support/certificates.ts'

const root = join(import.meta.dirname, '..')
const files = globSync('examples/**/{*.yaml,gatehouse.config.ts}', {
  cwd: root,
  exclude: ['**/node_modules/**'],
})

// No key lies in the repository, so the example with TLS gets its files here.
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-examples-'))
after(() => rmSync(directory, { recursive: true }))
const authority = new Authority()
const { cert, key } = authority.issue({ commonName: 'gateway', names: ['accounts.example'] })
writeFileSync(join(directory, 'ca.crt'), authority.cert)
writeFileSync(join(directory, 'gateway.crt'), cert)
writeFileSync(join(directory, 'gateway.key'), key)

const env = { TLS_DIRECTORY: directory }

for (const file of files) {
  describe(file, () => {
    test('has no problem', async () => {
      const { document, problems } = await loadDocument(join(root, file), { env })
      assert.deepEqual(problems, [])
      assert.notEqual(document, null)
    })

    if (!file.endsWith('.yaml')) return

    test('is what the JSON Schema accepts', async () => {
      const { policies } = await loadForPeople(join(root, file), { env })
      const json = documentJsonSchema(policies) as z.core.JSONSchema.JSONSchema
      const text = readFileSync(join(root, file), 'utf8')
      const result = z.fromJSONSchema(json).safeParse(parse(text, { merge: true }))
      assert.deepEqual(result.error?.issues, undefined)
    })

    test('tells editors where the schema is', () => {
      const [line = ''] = readFileSync(join(root, file), 'utf8').split('\n')
      const path = /^# yaml-language-server: \$schema=(.+)$/.exec(line)?.[1]
      assert.ok(path !== undefined && existsSync(join(root, dirname(file), path)), line)
    })
  })
}
