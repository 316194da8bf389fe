// A real browser for tests: Debian's Chromium without a window. It finds only the hosts that a test
// names, keeps its profile in a folder that goes with it, and talks to nobody else.
import assert from 'node:assert/strict'
import { type Browser, chromium } from 'playwright-core'
import { findTool } from '../../scripts/debian-tools.ts'

/**
 * Starts one.
 * @param hosts the port on this machine of every host (`shop.example`, or with the port that pages name)
 */
export function startBrowser(hosts: Readonly<Record<string, number>>): Promise<Browser> {
  const executablePath = findTool('chromium')
  assert.ok(executablePath !== null, 'chromium is installed')
  const rules = Object.entries(hosts).map(([host, port]) => `MAP ${host} 127.0.0.1:${port}`)
  return chromium.launch({
    executablePath,
    args: [
      `--host-resolver-rules=${[...rules, 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1'].join(',')}`,
      // Small /dev/shm of containers is no reason to die.
      '--disable-dev-shm-usage',
    ],
  })
}
