// GET /readyz: whether new connections should be sent here.
import { type AdminResource, textAnswer } from './resource.ts'

export const readinessResource: AdminResource = {
  path: '/readyz',
  answer(view) {
    const reason = view.notReadyReason()
    return reason === null ? textAnswer(200, 'ready') : textAnswer(503, reason)
  },
}
