// HAProxy with one thread, reusing upstream connections for all requests.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findTool } from '../../../scripts/debian-tools.ts'
import { versionOf } from '../machine.ts'
import type { Subject } from '../subject.ts'

const program = findTool('haproxy') ?? 'haproxy'

export const haproxy: Subject = {
  name: 'haproxy',
  scenarios: ['small-json', 'policies', 'post-16kb', 'tls', 'stream-1gb', 'offered-load'],
  version: () => versionOf(program, ['-v']),
  prepare({ scenario, folder, port, upstreamPort, threads, tls }) {
    const path = join(folder, 'haproxy.cfg')
    const lines = [
      'global',
      `  nbthread ${threads}`,
      '  maxconn 8192',
      ...(scenario === 'policies' ? ['  log stdout format raw local0 info'] : []),
      'defaults',
      '  mode http',
      '  timeout connect 5s',
      '  timeout client 60s',
      '  timeout server 60s',
      '  http-reuse always',
      'frontend clients',
      `  bind 127.0.0.1:${port}${scenario === 'tls' ? ` ssl crt ${tls.both}` : ''}`,
      '  option forwardfor',
      '  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]',
      '  http-request set-header X-Forwarded-Host %[req.hdr(host)]',
      ...(scenario === 'policies' ? policies : []),
      '  default_backend app',
      'backend app',
      `  server app 127.0.0.1:${upstreamPort}`,
      '',
    ]
    writeFileSync(path, lines.join('\n'))
    return { program, args: ['-f', path, '-db'] }
  },
}

const policies = [
  '  log global',
  '  log-format {"client":"%ci","method":"%HM","target":"%HU","status":%ST,"bytes":%B,"ms":%Ta,"upstream":"%s","requestId":"%ID"}',
  '  unique-id-format %[uuid]',
  '  unique-id-header X-Request-Id',
  '  http-response set-header X-Request-Id %[unique-id]',
  '  http-response set-header Access-Control-Allow-Origin http://localhost:3000',
  '  http-response set-header Vary Origin',
  '  http-response set-header X-Content-Type-Options nosniff',
  '  http-response del-header X-Powered-By',
]
