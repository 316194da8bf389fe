// GET /readyz: whether new connections should be sent here, and if not, what is missing.
import { type AdminResource, jsonAnswer } from './resource.ts'

export const readinessResource: AdminResource = {
  path: '/readyz',
  answer(view) {
    const reasons = view.notReady()
    return reasons.length === 0
      ? jsonAnswer(200, { ready: true })
      : jsonAnswer(503, { ready: false, reasons })
  },
}
