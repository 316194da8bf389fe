// Every scenario file beside this one, with one thread in this process and with three in processes of
// their own. The files are meant to be read; their form is described in test/support/scenario-text.ts.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { RunningGateway } from '../../src/control/process/running-gateway.test-support.ts'
import { TestGateway } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { ScenarioStage, type StartGateway } from '../support/scenario.ts'
import { parseScenario } from '../support/scenario-text.ts'

const inThisProcess: StartGateway = async (yaml) => await TestGateway.start(parse(yaml))

const withThreeThreads: StartGateway = async (yaml) => {
  const configuration = `listen: http://127.0.0.1:0\n${yaml}`
  const gateway = await RunningGateway.start({ isReal: true, threads: 3, configuration })
  return {
    connect: () => RawClient.connect(gateway.port),
    settled: async () => {},
    close: async () => {
      await gateway.stop()
    },
  }
}

const files = globSync('*.scenario', { cwd: import.meta.dirname }).sort()

for (const [way, start] of [
  ['one thread', inThisProcess],
  ['three threads', withThreeThreads],
] as const) {
  for (const file of files) {
    const scenario = parseScenario(readFileSync(join(import.meta.dirname, file), 'utf8'))
    describe(`${file}, ${way}`, () => {
      let stage: ScenarioStage
      before(async () => {
        stage = await ScenarioStage.open(scenario, start)
      })
      after(() => stage.close())
      for (const conversation of scenario.conversations) {
        test(conversation.title, () => stage.play(conversation))
      }
    })
  }
}
