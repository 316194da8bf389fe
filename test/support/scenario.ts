// Runs scenario files (see scenario-text.ts) against a gateway, in this process or in one of its own.
import assert from 'node:assert/strict'
import { closedPort } from './faults.ts'
import type { RawClient } from './raw-client.ts'
import { RecordingUpstream, type UpstreamConnection } from './recording-upstream.ts'
import type { Block, Conversation, Scenario, ServiceTurn, Turn } from './scenario-text.ts'
import { type Message, readRequest, type WireRequest } from './strict-http.ts'

/** A gateway that runs a scenario's configuration. */
export interface ScenarioGateway {
  connect(): Promise<RawClient>
  /** Resolves when no exchange runs, where that can be known. */
  settled(): Promise<void>
  close(): Promise<void>
}

/** Starts a gateway with a configuration in YAML. */
export type StartGateway = (yaml: string) => Promise<ScenarioGateway>

/** The services of a scenario and the gateway in front of them. */
export class ScenarioStage {
  readonly #services: ReadonlyMap<string, ScenarioService>
  readonly #gateway: ScenarioGateway

  private constructor(services: ReadonlyMap<string, ScenarioService>, gateway: ScenarioGateway) {
    this.#services = services
    this.#gateway = gateway
  }

  static async open(scenario: Scenario, start: StartGateway): Promise<ScenarioStage> {
    const services = new Map<string, ScenarioService>()
    let yaml = scenario.configuration
    for (const name of scenario.services) {
      const service = await ScenarioService.start(name)
      services.set(name, service)
      yaml = yaml.replaceAll(new RegExp(`https?://${name}\\.test\\b`, 'g'), service.url)
    }
    yaml = yaml.replaceAll('http://nobody.test', `http://127.0.0.1:${await closedPort()}`)
    return new ScenarioStage(services, await start(yaml))
  }

  /** Plays one conversation. @throws AssertionError naming the line that does not hold. */
  async play(conversation: Conversation): Promise<void> {
    const client = await this.#gateway.connect()
    for (const turn of conversation.turns) await this.#playTurn(client, turn)
    await client.destroy()
    await this.#gateway.settled()
  }

  async #playTurn(client: RawClient, turn: Turn): Promise<void> {
    for (const service of this.#services.values()) service.expect(turn.services)
    const { start, fields, body } = turn.request
    client.send(messageText(withVersion(start), withHost(fields), body))
    const answer = await client.response(start.slice(0, start.indexOf(' ')))
    if (turn.response !== null) {
      const { line } = turn.response
      const status = `${answer.status} ${answer.reason}`
      const wanted = turn.response.start
      assert.ok(
        wanted === status || wanted === String(answer.status),
        `line ${line}: the answer is ${status}: ${answer.text.slice(0, 300)}`,
      )
      assertMessage(turn.response, answer)
    }
    for (const service of this.#services.values()) service.assertAsked()
  }

  async close(): Promise<void> {
    await this.#gateway.close()
    for (const service of this.#services.values()) await service.close()
  }
}

/** One service that says what the conversation has it say. */
class ScenarioService {
  readonly #name: string
  #turns: readonly ServiceTurn[] = []
  #answered = 0
  #upstream: RecordingUpstream | null = null

  private constructor(name: string) {
    this.#name = name
  }

  static async start(name: string): Promise<ScenarioService> {
    const service = new ScenarioService(name)
    service.#upstream = await RecordingUpstream.start((connection) => service.#serve(connection))
    return service
  }

  get url(): string {
    return this.#upstream!.url
  }

  expect(turns: readonly ServiceTurn[]): void {
    this.#turns = turns.filter((turn) => turn.name === this.#name)
    this.#answered = 0
    this.#upstream!.mark()
  }

  async #serve(connection: UpstreamConnection): Promise<void> {
    for (;;) {
      if ((await connection.nextRequest()) === null) return
      const answer = this.#turns[this.#answered++]?.answer ?? null
      if (answer === null) await connection.answer(`hello from ${this.#name}`)
      else if (answer.start === 'closes') connection.end()
      else if (answer.start === 'resets') connection.reset()
      else if (answer.start !== 'stalls') {
        const start = /^[0-9]{3}$/.test(answer.start) ? `${answer.start} ` : answer.start
        await connection.send(messageText(`HTTP/1.1 ${start}`, answer.fields, answer.body ?? ''))
      }
    }
  }

  assertAsked(): void {
    const requests: WireRequest[] = []
    for (const bytes of this.#upstream!.since()) {
      for (let at = 0; ; ) {
        const read = readRequest(bytes, at)
        if (read === null) break
        requests.push(read.message)
        at = read.end
      }
    }
    const asked = requests.map((request) => `${request.method} ${request.target}`)
    assert.equal(asked.length, this.#turns.length, `${this.#name} was asked: ${asked.join(', ')}`)
    for (const [index, { expected }] of this.#turns.entries()) {
      if (expected === null) continue
      const request = requests[index]!
      assert.equal(
        asked[index],
        expected.start.replace(/ HTTP\/1\.1$/, ''),
        `line ${expected.line}`,
      )
      assertMessage(expected, request)
    }
  }

  async close(): Promise<void> {
    await this.#upstream!.close()
  }
}

function withVersion(start: string): string {
  return / HTTP\/[0-9.]+$/.test(start) ? start : `${start} HTTP/1.1`
}

function withHost(fields: readonly string[]): readonly string[] {
  return fields.some((field) => /^host:/i.test(field)) ? fields : ['Host: shop.example', ...fields]
}

function messageText(start: string, fields: readonly string[], body: string | null): string {
  const isFramed = fields.some((field) => /^(content-length|transfer-encoding):/i.test(field))
  const bytes = Buffer.from(body ?? '').toString('latin1')
  const length = body === null || isFramed ? [] : [`Content-Length: ${bytes.length}`]
  return `${[start, ...fields, ...length].join('\r\n')}\r\n\r\n${bytes}`
}

/** Fields and body as the block wants them. */
function assertMessage({ line, fields, body }: Block, message: Message): void {
  for (const [index, field] of fields.entries()) {
    const where = `line ${line + 1 + index}: ${field}`
    if (field.startsWith('!')) {
      assert.deepEqual(message.all(field.slice(1)), [], where)
      continue
    }
    const colon = field.indexOf(':')
    assert.ok(colon > 0, `${where}: a field is written as "Name: value" or "!Name"`)
    const wanted = field.slice(colon + 1).trim()
    const values = message.all(field.slice(0, colon))
    const holds = values.some((value) => isWanted(value, wanted))
    assert.ok(holds, `${where}: there is ${values.length === 0 ? 'none' : values.join(' | ')}`)
  }
  if (body !== null) assert.equal(message.body.toString('utf8'), body, `line ${line}: the body`)
}

function isWanted(value: string, wanted: string): boolean {
  if (wanted === '*') return true
  if (wanted.length > 2 && wanted.startsWith('/') && wanted.endsWith('/')) {
    return new RegExp(wanted.slice(1, -1)).test(value)
  }
  return value === wanted
}
