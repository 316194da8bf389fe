// A gateway process for tests of the parent: it says that it is ready, and ends.
import type { FromGateway, ToGateway } from './parent-protocol.ts'

process.on('message', (message: ToGateway) => {
  if (message.type !== 'start' || message.document === null) return
  const ready: FromGateway = {
    type: 'ready',
    document: message.document,
    urls: [],
    adminUrl: null,
    threads: 1,
    routes: 0,
    services: 0,
  }
  process.send!(ready, undefined, {}, () => process.exit(3))
})
