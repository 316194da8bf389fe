// GET /config: the configuration that runs now, shorthands expanded, without what must stay secret.
import { maskSecrets } from '../../config/secrets.ts'
import type { AdminResource } from './resource.ts'

export const configurationResource: AdminResource = {
  path: '/config',
  answer(subject) {
    const { secrets: _, ...shown } = maskSecrets(subject.document())
    return {
      status: 200,
      contentType: 'application/json',
      body: `${JSON.stringify(shown, null, 2)}\n`,
    }
  },
}
