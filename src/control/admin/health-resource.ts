// GET /healthz: whether the gateway lives. Who gets another answer, or none, may restart it.
import { type AdminResource, textAnswer } from './resource.ts'

export const healthResource: AdminResource = {
  path: '/healthz',
  answer: (view) =>
    view.isAlive() ? textAnswer(200, 'ok') : textAnswer(503, 'no thread shows a sign of life'),
}
