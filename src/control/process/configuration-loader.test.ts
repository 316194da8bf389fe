import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { ConfigurationLoader } from './configuration-loader.ts'

/** A folder of its own with a loader, and how many workers it started. */
class Scene {
  readonly loader: ConfigurationLoader
  workers = 0
  readonly #folder = mkdtempSync(join(tmpdir(), 'gatehouse-loader-'))

  constructor(t: TestContext, name: string) {
    this.loader = new ConfigurationLoader(join(this.#folder, name))
    const count = () => void this.workers++
    process.on('worker', count)
    t.after(() => {
      process.off('worker', count)
      this.loader.close()
      rmSync(this.#folder, { recursive: true, force: true })
    })
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.#folder, name), text)
  }

  /** What the configuration calls itself; null when it is refused. */
  async via(): Promise<string | null> {
    const { document } = await this.loader.load()
    return document?.via ?? null
  }
}

const yaml = (via: string, more = '') =>
  `listen: http://127.0.0.1:0\nvia: ${via}\nroutes: [{ respond: {} }]\n${more}`

describe('loading again and again', () => {
  test('takes one worker as long as there is only text, and sees every change', async (t) => {
    const scene = new Scene(t, 'gatehouse.yaml')
    for (const via of ['one', 'two', 'three']) {
      scene.write('gatehouse.yaml', yaml(via))
      assert.equal(await scene.via(), via)
    }
    assert.equal(scene.workers, 1)
  })

  test('imports a configuration that is a module anew', async (t) => {
    const scene = new Scene(t, 'gatehouse.config.ts')
    for (const via of ['one', 'two']) {
      const text = `{ listen: 'http://127.0.0.1:0', via: '${via}', routes: [{ respond: {} }] }`
      scene.write('gatehouse.config.ts', `export default ${text}`)
      assert.equal(await scene.via(), via)
    }
    assert.equal(scene.workers, 2)
  })

  test('imports code that the configuration names anew, also what failed before', async (t) => {
    const scene = new Scene(t, 'gatehouse.yaml')
    const contract = new URL('../../index.ts', import.meta.url).href
    const plugin = (name: string) =>
      `import { definePolicy } from '${contract}'\nimport { z } from 'zod'\n` +
      `export default definePolicy({ name: '${name}', summary: 'x', settings: z.strictObject({}), create: () => ({}) })`
    scene.write('gatehouse.yaml', yaml('one', 'plugins: [./plugin.ts]\nuse: [mine]\n'))
    scene.write('plugin.ts', 'export default nonsense')
    assert.equal(await scene.via(), null)
    scene.write(
      'plugin.ts',
      plugin('mine').replace("from 'zod'", `from '${import.meta.resolve('zod')}'`),
    )
    assert.equal(await scene.via(), 'one')
    scene.write('plugin.ts', 'export default nothing')
    assert.equal(await scene.via(), null)
    assert.equal(scene.workers, 3)
  })

  test('goes on after a file that is wrong, and in a new worker when one ended', async (t) => {
    const scene = new Scene(t, 'gatehouse.yaml')
    scene.write('gatehouse.yaml', 'routes: nonsense')
    assert.equal(await scene.via(), null)
    scene.write('gatehouse.yaml', yaml('good'))
    assert.equal(await scene.via(), 'good')
    scene.loader.close()
  })
})
