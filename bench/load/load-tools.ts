// The tools that make load, and what is read out of their reports: wrk as fast as answers come back,
// h2load at a rate of its own, curl for one long body.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { endSignal } from './processes.ts'

/** What a load tool saw. Times are microseconds. */
export interface LoadReport {
  readonly requests: number
  readonly seconds: number
  readonly p50: number
  readonly p99: number
  /** Answers other than 2xx and 3xx, broken connections and timeouts. */
  readonly errors: number
}

const connections = 64

async function run(program: string, args: readonly string[], secondsMax: number): Promise<string> {
  const options = { timeout: secondsMax * 1000, maxBuffer: 2 ** 24, signal: endSignal }
  return (await promisify(execFile)(program, args, options)).stdout
}

/** Loads a URL from 64 connections, each of which sends its next request when it has its answer. */
export async function wrk(
  url: string,
  seconds: number,
  options: readonly string[],
): Promise<LoadReport> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...options, url]
  return readWrkReport(await run('wrk', args, seconds + 30))
}

/** Reads what wrk prints. Throws if it is not such a report. */
export function readWrkReport(text: string): LoadReport {
  const total = /(\d+) requests in ([\d.]+)(us|ms|s|m)/.exec(text)
  const p50 = /^\s*50%\s+([\d.]+)(us|ms|s|m)/m.exec(text)
  const p99 = /^\s*99%\s+([\d.]+)(us|ms|s|m)/m.exec(text)
  if (total === null || p50 === null || p99 === null) throw new Error(`wrk said:\n${text}`)
  const socketErrors = /Socket errors: (.*)/.exec(text)?.[1]?.match(/\d+/g) ?? []
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0)
  return {
    requests: Number(total[1]),
    seconds: micros(total[2], total[3]) / 1e6,
    p50: micros(p50[1], p50[2]),
    p99: micros(p99[1], p99[2]),
    errors: socketErrors.reduce((sum, count) => sum + Number(count), refused),
  }
}

function micros(value: string | undefined, unit: string | undefined): number {
  const factors: Record<string, number> = { us: 1, ms: 1e3, s: 1e6, m: 6e7 }
  return Number(value) * (factors[unit ?? ''] ?? Number.NaN)
}

/**
 * Offers a fixed rate from 64 connections, whatever the answers do. h2load fires all connections at
 * once, so what it measures is how a burst of 64 is served; it is the same burst for everyone.
 */
export async function h2load(
  url: string,
  seconds: number,
  perSecond: number,
  logPath: string,
): Promise<LoadReport> {
  const rate = Math.max(1, Math.round(perSecond / connections))
  const args = ['--h1', '-t1', `-c${connections}`, `-D${seconds}`, '--warm-up-time=1']
  const text = await run(
    'h2load',
    [...args, `--rps=${rate}`, `--log-file=${logPath}`, url],
    seconds + 30,
  )
  const counts = /(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(
    text,
  )
  if (counts === null) throw new Error(`h2load said:\n${text}`)
  const latencies = readLatencies(readFileSync(logPath, 'utf8'))
  return {
    requests: Number(counts[1]),
    seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    errors: Number(counts[3]) + Number(counts[4]) + Number(counts[5]),
  }
}

/** The third column of each line of h2load's log: microseconds until the answer was complete. */
function readLatencies(log: string): Float64Array {
  const values = log.split('\n').flatMap((line) => {
    const latency = line.split('\t')[2]
    return latency === undefined ? [] : [Number(latency)]
  })
  return Float64Array.from(values).sort()
}

/** The value below which a share of the sorted values lies. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Downloads a URL once and throws the body away. Throws unless all of it came. */
export async function download(url: string, bytes: number): Promise<{ seconds: number }> {
  const args = ['--silent', '--show-error', '--fail', '--output', '/dev/null']
  const format = '%{size_download} %{time_total}'
  const text = await run('curl', [...args, '--write-out', format, url], 120)
  const [size, seconds] = text.split(' ').map(Number)
  if (size !== bytes || seconds === undefined)
    throw new Error(`${url} gave ${size} of ${bytes} bytes`)
  return { seconds }
}
