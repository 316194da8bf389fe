// What a person sees when the shop runs: what is where, and what to try.

/** A service that listens. */
export interface RunningService {
  name: string
  pid: number
  /** The port in gatehouse.yaml, and the one it got. */
  port: number
  actualPort: number
}

/** Gatehouse, once it answers. */
export interface RunningGateway {
  port: number
  adminPort: number
  pid: number
  logPath: string
}

/** The text for the terminal. */
export function screen(gateway: RunningGateway, services: RunningService[]): string {
  const url = `http://localhost:${gateway.port}`
  const rows = services.map(
    ({ name, actualPort, pid }) =>
      `    ${name.padEnd(12)} http://127.0.0.1:${actualPort}   process ${pid}`,
  )
  return `
  The shop is open at ${url}   (Gatehouse, process ${gateway.pid})

  Behind it:

${rows.join('\n')}

  Try in another terminal:

    curl ${url}/api/users/1
    curl ${url}/api/orders -H 'Content-Type: application/json' -d '{"user":1,"product":2,"quantity":3}'
    curl '${url}/api/products/1?turn=[1-3]'                     # three instances answer in turn
    curl -i ${url}/api/users -H 'Origin: http://localhost:3000' # request id, CORS
    curl ${url}/api/account -H "Authorization: Bearer $(curl -s ${url}/token -d user=2)"
    curl -i ${url}/api/account                                  # without a token: 401
    curl -i ${url}/api/nothing                                  # the gateway's own answer

  Configuration: examples/shop/gatehouse.yaml
  Metrics:       http://127.0.0.1:${gateway.adminPort}/metrics
  Access log:    tail -f ${gateway.logPath}

  Ctrl-C ends everything.
`
}
