// Finds endpoints by asking a registry for a JSON list of them, again and again. In a project of your own the
// import is from 'gatehouse'.
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { type DiscoveredEndpoint, defineDiscovery, durationMs } from '../../src/index.ts'

export default defineDiscovery({
  settings: z.strictObject({
    url: z.url().describe('Where the list is.'),
    every: durationMs({ min: 100 }).default(5000).describe('How often to ask.'),
  }),

  async watch({ url, every }, { signal, publish, fail }) {
    while (!signal.aborted) {
      try {
        const patience = AbortSignal.any([signal, AbortSignal.timeout(5000)])
        const response = await fetch(url, { signal: patience })
        if (!response.ok) throw new Error(`the registry answered ${response.status}`)
        // A list like ["http://10.0.0.11:4002", { "url": "http://10.0.0.12:4002", "weight": 2 }].
        // Whether it really is one is looked at when it is published.
        publish((await response.json()) as DiscoveredEndpoint[])
      } catch (error) {
        fail(error)
      }
      await pause(every, undefined, { signal }).catch(() => {})
    }
  },
})
