// Caddy with as many processors as others have threads.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findTool } from '../../../scripts/debian-tools.ts'
import { versionOf } from '../machine.ts'
import type { Subject } from '../subject.ts'

const program = findTool('caddy') ?? 'caddy'

export const caddy: Subject = {
  name: 'caddy',
  scenarios: ['small-json', 'policies', 'post-16kb', 'tls', 'stream-1gb', 'offered-load'],
  version: () => versionOf(program, ['version']),
  prepare({ scenario, folder, port, upstreamPort, threads, tls }) {
    const path = join(folder, 'Caddyfile')
    const scheme = scenario === 'tls' ? 'https' : 'http'
    const lines = [
      '{',
      '  admin off',
      '  auto_https off',
      '}',
      `${scheme}://localhost:${port}, ${scheme}://127.0.0.1:${port} {`,
      '  bind 127.0.0.1',
      ...(scenario === 'tls' ? [`  tls ${tls.certificate} ${tls.key}`] : []),
      ...(scenario === 'policies' ? policies(folder) : []),
      `  reverse_proxy 127.0.0.1:${upstreamPort} {`,
      '    transport http {',
      '      keepalive_idle_conns_per_host 256',
      '    }',
      '  }',
      '}',
      '',
    ]
    writeFileSync(path, lines.join('\n'))
    const env = { GOMAXPROCS: `${threads}`, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }
    return { program, args: ['run', '--config', path, '--adapter', 'caddyfile'], env }
  },
}

function policies(folder: string): string[] {
  return [
    `  log {\n    output file ${join(folder, 'access.log')}\n    format json\n  }`,
    '  request_header X-Request-Id {http.request.uuid}',
    '  header X-Request-Id {http.request.uuid}',
    '  header Access-Control-Allow-Origin http://localhost:3000',
    '  header Vary Origin',
    '  header X-Content-Type-Options nosniff',
    '  header -X-Powered-By',
  ]
}
