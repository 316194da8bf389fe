// Asks a thread that does not answer what it runs. A profile is started by an interrupt, which even an
// endless loop, or an endless regular expression, lets in; native code does not. A function that was
// compiled while its loop ran already is missing in it, and its caller stands for it.
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'

/** How long the thread is watched, and how long it may take to begin or to tell, in milliseconds. */
const PROFILE_MS = 100
const ANSWER_TIMEOUT_MS = 1_000

interface ProfileNode {
  readonly id: number
  readonly hitCount: number
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    /** From 0 on. */
    readonly lineNumber: number
  }
  readonly children?: readonly number[]
  /** Lines from 1 on. */
  readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[]
}

/** Frames that are on every policy's stack. */
const PIPELINE = '/proxy/pipeline/'

/**
 * The innermost function known to be on the thread's stack, `find (/etc/gatehouse/slow.ts:12)`; null
 * when it cannot be known, or says nothing.
 */
export async function busyCode(worker: Worker): Promise<string | null> {
  try {
    const profile = await inTime(worker.startCpuProfile())
    await new Promise((resolve) => setTimeout(resolve, PROFILE_MS))
    const { nodes } = JSON.parse(await inTime(profile.stop())) as { nodes: ProfileNode[] }
    return hottest(nodes)
  } catch {
    return null
  }
}

/** The function with the most samples, or the nearest of its callers that is not part of Node. */
export function hottest(nodes: readonly ProfileNode[]): string | null {
  const callers = new Map<number, ProfileNode>()
  for (const node of nodes) for (const child of node.children ?? []) callers.set(child, node)
  const busiest = nodes.filter(isCode).sort((one, other) => other.hitCount - one.hitCount)[0]
  for (let node = busiest; node !== undefined; node = callers.get(node.id)) {
    const { functionName, url, lineNumber } = node.callFrame
    if (url === '' || url.startsWith('node:')) continue
    if (url.includes(PIPELINE)) return null
    const ticks = [...(node.positionTicks ?? [])].sort((one, other) => other.ticks - one.ticks)
    const line = ticks[0]?.line ?? lineNumber + 1
    const place = `${url.startsWith('file:') ? fileURLToPath(url) : url}:${line}`
    return functionName === '' ? place : `${functionName} (${place})`
  }
  return null
}

/** Not `(idle)`, `(garbage collector)` and the like. */
function isCode({ callFrame, hitCount }: ProfileNode): boolean {
  return hitCount > 0 && !callFrame.functionName.startsWith('(')
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('no answer in time')), ANSWER_TIMEOUT_MS)
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}
