import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { prometheusText } from './exporters/prometheus.ts'
import {
  GatewayMetrics,
  METRICS_SHAPES,
  RouteMetrics,
  ServiceMetrics,
  ThreadMetrics,
} from './gateway-metrics.ts'
import { allocateMetrics, MetricsReader, MetricsWriter } from './metrics.ts'
import { PolicyMetrics } from './policy-metrics.ts'

/** The samples of a text in the exposition format, by name and labels. A sample twice is an error. */
function samples(text: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const space = line.lastIndexOf(' ')
    const name = line.slice(0, space)
    assert.ok(!found.has(name), `${name} is there twice`)
    found.set(name, Number(line.slice(space + 1)))
  }
  return found
}

function read(buffers: ReturnType<typeof allocateMetrics>): Map<string, number> {
  return samples(prometheusText(new MetricsReader(buffers)))
}

describe('counting', () => {
  test('adds up over rows, and goes on in the same cells after a reload', () => {
    const buffers = allocateMetrics(2)
    const first = new MetricsWriter(buffers, 0)
    const second = new MetricsWriter(buffers, 1)
    new RouteMetrics(first, 'a').finish(200, 3, 10, 100)
    new RouteMetrics(second, 'b').finish(404, 3, 0, 0)
    new RouteMetrics(second, 'a').finish(204, 700, 5, 0)
    // A reload compiles the route again.
    new RouteMetrics(first, 'a').finish(502, 40_000, 0, 7)
    const found = read(buffers)
    assert.equal(found.get('gatehouse_requests_total{route="a",status="2xx"}'), 2)
    assert.equal(found.get('gatehouse_requests_total{route="a",status="5xx"}'), 1)
    assert.equal(found.get('gatehouse_requests_total{route="b",status="4xx"}'), 1)
    assert.equal(found.get('gatehouse_request_body_bytes_total{route="a"}'), 15)
    assert.equal(found.get('gatehouse_response_body_bytes_total{route="a"}'), 107)
  })

  test('durations fill cumulative buckets in seconds', () => {
    const buffers = allocateMetrics(1)
    const route = new RouteMetrics(new MetricsWriter(buffers, 0), 'a')
    for (const ms of [0.2, 0.5, 0.6, 30_000, 31_000]) route.finish(200, ms, 0, 0)
    const found = read(buffers)
    const bucket = (bound: string) =>
      found.get(`gatehouse_request_duration_seconds_bucket{route="a",le="${bound}"}`)
    assert.equal(bucket('0.0005'), 2)
    assert.equal(bucket('0.001'), 3)
    assert.equal(bucket('10'), 3)
    assert.equal(bucket('30'), 4)
    assert.equal(bucket('+Inf'), 5)
    assert.equal(found.get('gatehouse_request_duration_seconds_count{route="a"}'), 5)
    const sum = found.get('gatehouse_request_duration_seconds_sum{route="a"}')!
    assert.ok(Math.abs(sum - 61.0013) < 1e-9)
  })

  test('an upgraded connection is a request, but its life is no latency', () => {
    const buffers = allocateMetrics(1)
    new RouteMetrics(new MetricsWriter(buffers, 0), 'a').finish(101, 3_600_000, 0, 0)
    const found = read(buffers)
    assert.equal(found.get('gatehouse_requests_total{route="a",status="1xx"}'), 1)
    assert.equal(found.get('gatehouse_request_duration_seconds_count{route="a"}'), 0)
  })

  test('services, policies, threads and the gateway have their own', () => {
    const buffers = allocateMetrics(3)
    const writer = new MetricsWriter(buffers, 1)
    const service = new ServiceMetrics(writer, 's')
    service.attempt(200, 2)
    service.attempt(0, 2)
    service.error('connect_refused')
    service.retry()
    service.hedge()
    service.hedge()
    service.hedgeWon()
    service.hedgeRefused()
    service.connectionOpened()
    service.queued()
    service.queueTimeout()
    const policy = new PolicyMetrics(writer, 'limit')
    policy.rejected()
    policy.shadowRejected()
    policy.conditionFailed()
    const thread = new ThreadMetrics(writer)
    thread.connectionAccepted()
    thread.connectionAccepted()
    thread.connectionClosed()
    thread.error('bad_header')
    thread.eventLoop(12, 0.5)
    const gateway = new GatewayMetrics(new MetricsWriter(buffers, 2))
    gateway.configurationApplied(1_500)
    gateway.configurationRefused()
    gateway.logLinesDropped(3)
    new GatewayMetrics(writer).logLinesDropped(4)
    const found = read(buffers)
    for (const [name, value] of Object.entries({
      'gatehouse_upstream_attempts_total{service="s",status="2xx"}': 1,
      'gatehouse_upstream_attempts_total{service="s",status="none"}': 1,
      'gatehouse_upstream_errors_total{service="s",code="connect_refused"}': 1,
      'gatehouse_upstream_retries_total{service="s"}': 1,
      'gatehouse_upstream_hedges_total{service="s"}': 2,
      'gatehouse_upstream_hedges_won_total{service="s"}': 1,
      'gatehouse_upstream_hedges_refused_total{service="s"}': 1,
      'gatehouse_upstream_queue_timeouts_total{service="s"}': 1,
      'gatehouse_upstream_latency_seconds_count{service="s"}': 2,
      'gatehouse_policy_rejections_total{policy="limit",mode="enforce"}': 1,
      'gatehouse_policy_rejections_total{policy="limit",mode="shadow"}': 1,
      'gatehouse_policy_failures_total{policy="limit",part="condition"}': 1,
      'gatehouse_connections_accepted_total{thread="1"}': 2,
      'gatehouse_connections_open{thread="1"}': 1,
      'gatehouse_errors_total{thread="1",code="bad_header"}': 1,
      'gatehouse_event_loop_delay_seconds{thread="1"}': 0.012,
      'gatehouse_config_reloads_total{result="applied"}': 1,
      gatehouse_config_last_applied_timestamp_seconds: 1.5,
      gatehouse_log_lines_dropped_total: 7,
      gatehouse_metrics_refused_total: 0,
    })) {
      assert.equal(found.get(name), value, name)
    }
    // Codes that never occurred are left out.
    assert.equal(found.has('gatehouse_errors_total{thread="1",code="bad_host"}'), false)
  })
})

describe('threads', () => {
  const script = `
    const { workerData, parentPort } = require('node:worker_threads')
    const { buffers, row, modules } = workerData
    Promise.all(modules.map((url) => import(url))).then(([metrics, gateway]) => {
      const writer = new metrics.MetricsWriter(buffers, row)
      for (let i = 0; i < 300; i++) {
        const name = 'route-' + ((i * 7 + row * 13) % 300)
        const route = new gateway.RouteMetrics(writer, name)
        for (let n = 0; n < 5; n++) route.finish(200, 1, 1, 2)
      }
      new gateway.ThreadMetrics(writer).connectionAccepted()
      parentPort.postMessage('done')
    })`
  const modules = ['./metrics.ts', './gateway-metrics.ts'].map(
    (path) => new URL(path, import.meta.url).href,
  )

  async function runThreads(buffers: ReturnType<typeof allocateMetrics>, rows: readonly number[]) {
    const threads = rows.map(
      (row) => new Worker(script, { eval: true, workerData: { buffers, row, modules } }),
    )
    await Promise.all(threads.map((thread) => once(thread, 'message')))
    await Promise.all(threads.map((thread) => thread.terminate()))
  }

  test('that name the same things at once lose none and double none', async () => {
    const buffers = allocateMetrics(4)
    await runThreads(buffers, [0, 1, 2])
    // Row 1's thread is replaced.
    const reader = new MetricsReader(buffers)
    reader.threadEnded(1, METRICS_SHAPES)
    await runThreads(buffers, [1])
    const found = samples(prometheusText(reader))
    for (let route = 0; route < 300; route++) {
      assert.equal(found.get(`gatehouse_requests_total{route="route-${route}",status="2xx"}`), 20)
      assert.equal(found.get(`gatehouse_response_body_bytes_total{route="route-${route}"}`), 40)
    }
    assert.equal(found.get('gatehouse_connections_accepted_total{thread="1"}'), 2)
    assert.equal(found.get('gatehouse_connections_open{thread="1"}'), 1)
    assert.equal(found.get('gatehouse_connections_open{thread="0"}'), 1)
  })

  test('that die while they add a name do not stop the others', () => {
    const buffers = allocateMetrics(2)
    // As if the thread of row 1 had died with the lock in its hand.
    new Int32Array(buffers.directory)[0] = 2
    const reader = new MetricsReader(buffers)
    reader.threadEnded(1, METRICS_SHAPES)
    new RouteMetrics(new MetricsWriter(buffers, 0), 'a').finish(200, 1, 0, 0)
    assert.equal(read(buffers).get('gatehouse_requests_total{route="a",status="2xx"}'), 1)
  })
})

describe('room', () => {
  test('that runs out costs names, never counts', () => {
    const buffers = allocateMetrics(1, { blocksMax: 64, cellsMax: 8_192 })
    const writer = new MetricsWriter(buffers, 0)
    for (let route = 0; route < 100; route++) {
      new RouteMetrics(writer, `route-${route}`).finish(200, 1, 0, 0)
    }
    const found = read(buffers)
    const counted = [...found].filter(([name]) => name.startsWith('gatehouse_requests_total'))
    assert.equal(
      counted.reduce((sum, [, value]) => sum + value, 0),
      100,
    )
    assert.equal(found.get('gatehouse_requests_total{route="other",status="2xx"}'), 68)
    assert.equal(found.get('gatehouse_metrics_refused_total'), 68)
  })

  test('is given up by names that no configuration has any more', () => {
    const buffers = allocateMetrics(2, { blocksMax: 64, cellsMax: 8_192 })
    const [writer, control] = [new MetricsWriter(buffers, 0), new MetricsWriter(buffers, 1)]
    const reader = new MetricsReader(buffers)
    const gateway = new GatewayMetrics(control)
    for (let round = 0; round < 200; round++) {
      for (const route of ['stays', `preview-${round}`]) {
        new RouteMetrics(writer, route).finish(200, 1, 0, 0)
      }
      // Another thread must not go on with what it knows of the places.
      new RouteMetrics(control, 'stays').finish(200, 1, 0, 0)
      gateway.configurationApplied(0)
      if (round % 50 === 0) prometheusText(reader)
    }
    const found = samples(prometheusText(reader))
    const requests = (route: string) =>
      found.get(`gatehouse_requests_total{route="${route}",status="2xx"}`)
    assert.equal(requests('stays'), 400)
    assert.deepEqual(
      [requests('preview-0'), requests('preview-198'), requests('preview-199')],
      [undefined, 1, 1],
    )
    assert.equal(found.get('gatehouse_config_reloads_total{result="applied"}'), 200)
    assert.equal(found.get('gatehouse_metrics_refused_total'), 0)
  })

  test('is kept by what runs while configurations are refused', () => {
    const buffers = allocateMetrics(2, { blocksMax: 64, cellsMax: 8_192 })
    const writer = new MetricsWriter(buffers, 0)
    const gateway = new GatewayMetrics(new MetricsWriter(buffers, 1))
    for (let round = 0; round < 3; round++) gateway.configurationApplied(0)
    const live = new RouteMetrics(writer, 'live')
    gateway.configurationApplied(0)
    for (let round = 0; round < 100; round++) new RouteMetrics(writer, `refused-${round}`)
    live.finish(200, 1, 0, 0)
    const found = read(buffers)
    assert.equal(found.get('gatehouse_requests_total{route="live",status="2xx"}'), 1)
    assert.ok(found.get('gatehouse_metrics_refused_total')! > 0)
  })

  test('is for names of any length', () => {
    const buffers = allocateMetrics(1, { blocksMax: 64, cellsMax: 8_192 })
    const writer = new MetricsWriter(buffers, 0)
    new RouteMetrics(writer, 'x'.repeat(100_000)).finish(200, 1, 0, 0)
    assert.equal(read(buffers).get('gatehouse_requests_total{route="other",status="2xx"}'), 1)
  })

  test('belongs to the rows there are', () => {
    const buffers = allocateMetrics(1)
    assert.throws(() => new MetricsWriter(buffers, 1), /row 1 is outside/)
  })
})

describe('the exposition format', () => {
  test('has help and type before each family, once', () => {
    const buffers = allocateMetrics(1)
    const writer = new MetricsWriter(buffers, 0)
    for (const route of ['a', 'b']) new RouteMetrics(writer, route).finish(200, 1, 1, 1)
    const text = prometheusText(new MetricsReader(buffers))
    const names = [...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)].map(
      (match) => match[1],
    )
    assert.equal(new Set(names).size, names.length)
    assert.equal([...text.matchAll(/^# HELP /gm)].length, names.length)
    assert.match(
      text,
      /# TYPE gatehouse_request_duration_seconds histogram\n(gatehouse_request_duration_seconds_\w+\{[^\n]*\n)+# HELP/,
    )
    assert.ok(text.endsWith('\n'))
    for (const name of names) assert.match(name!, /^gatehouse_[a-z0-9_]+$/)
  })

  test('escapes labels, and takes what the caller has collected', () => {
    const buffers = allocateMetrics(1)
    new RouteMetrics(new MetricsWriter(buffers, 0), 'a"b\\c\nd').finish(200, 1, 0, 0)
    const text = prometheusText(new MetricsReader(buffers), [
      {
        name: 'gatehouse_endpoint_usable',
        help: 'Back\\slash\nand line.',
        type: 'gauge',
        samples: [
          { labels: { service: 's', endpoint: '127.0.0.1:1' }, value: 1 },
          { labels: {}, value: 0.5 },
        ],
      },
    ])
    assert.ok(text.includes('gatehouse_requests_total{route="a\\"b\\\\c\\nd",status="2xx"} 1\n'))
    assert.ok(text.includes('# HELP gatehouse_endpoint_usable Back\\\\slash\\nand line.\n'))
    assert.ok(text.includes('gatehouse_endpoint_usable{service="s",endpoint="127.0.0.1:1"} 1\n'))
    assert.ok(text.includes('\ngatehouse_endpoint_usable 0.5\n'))
  })

  test('leaves routes out that nobody asked for', () => {
    const buffers = allocateMetrics(1)
    new RouteMetrics(new MetricsWriter(buffers, 0), 'unused')
    assert.ok(!prometheusText(new MetricsReader(buffers)).includes('unused'))
  })
})
