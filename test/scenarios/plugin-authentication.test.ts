// A policy of a plugin finds out who calls, by itself and as an alternative of any-of, in a gateway that
// runs as a person would run it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RunningGateway } from '../../src/control/process/running-gateway.test-support.ts'
import { keyLine } from '../support/credentials.ts'

const TICKET = `
import { definePolicy } from '${new URL('../../src/proxy/pipeline/policy.ts', import.meta.url).href}'
import { z } from '${import.meta.resolve('zod')}'
export default definePolicy({
  name: 'ticket',
  summary: 'Lets in who has a ticket.',
  settings: z.strictObject({ prefix: z.string().min(1).default('T') }),
  provides: ['consumer'],
  credentialPlaces: () => ['header:x-ticket'],
  examples: [{}],
  create({ prefix }, environment) {
    const missing = environment.problem('authentication_required', {
      headers: { 'WWW-Authenticate': 'Ticket' },
    })
    const wrong = environment.problem('credential_invalid')
    return {
      onRequest(exchange) {
        const ticket = exchange.requestHeader('x-ticket')
        if (ticket === null) return missing
        if (!ticket.startsWith(prefix)) return wrong
        exchange.consumer = { id: ticket.slice(prefix.length), groups: [], claims: null }
        exchange.authentication = { stage: environment.stage.id, scheme: 'Ticket' }
      },
    }
  },
})
`

const KEY = 'a-key-of-nobody-in-particular'
const use = (alternatives: unknown) =>
  JSON.stringify([
    { 'any-of': { of: alternatives } },
    { headers: { response: { set: { 'x-who': '${consumer.id}' } } } },
  ])
const CONFIGURATION = `
listen: http://127.0.0.1:0
plugins: [./ticket.ts]
consumers: { app: { keys: ['${keyLine(KEY)}'] } }
routes:
  - { path: /short, use: ${use(['ticket', 'api-key'])}, respond: { body: ok } }
  - { path: /long, use: ${use(['api-key', { ticket: { prefix: 'VIP-' } }])}, respond: { body: ok } }
`

test('a plugin may be an alternative of any-of, beside those that are built in', async () => {
  const files = { 'ticket.ts': TICKET }
  const gateway = await RunningGateway.start({
    isReal: true,
    configuration: CONFIGURATION,
    files,
  })
  try {
    const ask = async (path: string, headers: Record<string, string>) => {
      const url = `http://127.0.0.1:${gateway.port}${path}`
      const answer = await fetch(url, { headers: { connection: 'close', ...headers } })
      const text = await answer.text()
      const challenge = answer.headers.get('www-authenticate') ?? ''
      if (answer.status === 200) return answer.headers.get('x-who')
      return `${answer.status} ${JSON.parse(text).code} ${challenge}`.trim()
    }
    assert.equal(await ask('/short', { 'x-ticket': 'Tann' }), 'ann')
    assert.equal(await ask('/short', { 'x-api-key': KEY }), 'app')
    assert.match((await ask('/short', {}))!, /^401 authentication_required Ticket, ApiKey /)
    assert.match((await ask('/short', { 'x-ticket': 'forged' }))!, /^401 credential_invalid/)
    const both = { 'x-ticket': 'forged', 'x-api-key': KEY }
    assert.match((await ask('/short', both))!, /^401 credential_invalid/, 'no way around a refusal')
    assert.equal(await ask('/long', { 'x-ticket': 'VIP-bob' }), 'bob')
    assert.match((await ask('/long', { 'x-ticket': 'Tann' }))!, /^401 credential_invalid/)
  } finally {
    await gateway.stop()
  }
})
