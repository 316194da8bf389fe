// nginx, the measure of all others: one worker, kept connections on both sides.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findTool } from '../../../scripts/debian-tools.ts'
import { versionOf } from '../machine.ts'
import type { Command, Setup, Subject } from '../subject.ts'

const program = findTool('nginx') ?? 'nginx'

export const nginx: Subject = {
  name: 'nginx',
  scenarios: [
    'small-json',
    'policies',
    'shop-chain',
    'post-16kb',
    'tls',
    'stream-1gb',
    'offered-load',
  ],
  version: () => versionOf(program, ['-v']),
  prepare(setup) {
    const { scenario, port, upstreamPort, tls } = setup
    const listen = scenario === 'tls' ? `${port} ssl` : `${port}`
    return nginxCommand(setup, [
      ...(scenario === 'policies' ? accessLog(setup.folder) : ['access_log off;']),
      `upstream app { server 127.0.0.1:${upstreamPort}; keepalive 256; keepalive_requests 1000000000; }`,
      'server {',
      `  listen 127.0.0.1:${listen};`,
      ...(scenario === 'tls'
        ? [`  ssl_certificate ${tls.certificate};`, `  ssl_certificate_key ${tls.key};`]
        : []),
      '  location / {',
      '    proxy_pass http://app;',
      '    proxy_http_version 1.1;',
      '    client_body_buffer_size 64k;',
      '    proxy_max_temp_file_size 0;',
      '    proxy_set_header Connection "";',
      '    proxy_set_header Host $http_host;',
      '    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
      '    proxy_set_header X-Forwarded-Proto $scheme;',
      '    proxy_set_header X-Forwarded-Host $http_host;',
      ...(scenario === 'policies' ? policies : []),
      '  }',
      '}',
    ])
  },
}

const policies = [
  '    proxy_set_header X-Request-Id $request_id;',
  '    add_header X-Request-Id $request_id always;',
  '    add_header Access-Control-Allow-Origin http://localhost:3000 always;',
  '    add_header Vary Origin always;',
  '    add_header X-Content-Type-Options nosniff always;',
  '    proxy_hide_header X-Powered-By;',
]

function accessLog(folder: string): string[] {
  const fields = {
    time: '$time_iso8601',
    client: '$remote_addr',
    method: '$request_method',
    target: '$request_uri',
    status: '$status',
    bytes: '$body_bytes_sent',
    seconds: '$request_time',
    upstream: '$upstream_addr',
    requestId: '$request_id',
  }
  return [
    `log_format json escape=json '${JSON.stringify(fields)}';`,
    `access_log ${join(folder, 'access.log')} json buffer=64k flush=1s;`,
  ]
}

/** Writes a configuration with the given lines in its http block. */
export function nginxCommand(
  { folder, threads }: Pick<Setup, 'folder' | 'threads'>,
  http: readonly string[],
): Command {
  const path = join(folder, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const lines = [
    'daemon off;',
    // Without this, workers started by root become another user, to whom the folder is closed.
    process.getuid?.() === 0 ? 'user root;' : '',
    `worker_processes ${threads};`,
    `pid ${join(folder, 'nginx.pid')};`,
    'error_log stderr crit;',
    'events { worker_connections 8192; }',
    'http {',
    'keepalive_requests 1000000000;',
    ...temporary.map((name) => `${name}_temp_path ${join(folder, name)};`),
    ...http,
    '}',
  ]
  writeFileSync(path, lines.join('\n'))
  return { program, args: ['-p', folder, '-c', path, '-e', 'stderr'] }
}
