// GET /healthz: whether the control plane lives. Who asks and gets no answer may restart the gateway.
import { type AdminResource, textAnswer } from './resource.ts'

export const healthResource: AdminResource = {
  path: '/healthz',
  answer: () => textAnswer(200, 'ok'),
}
