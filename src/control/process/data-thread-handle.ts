// The control plane's hold on one data-plane thread.
import { MessageChannel, type ResourceLimits, Worker } from 'node:worker_threads'
import type { Document } from '../../config/schema.ts'
import { type DrainPlan, drainMs } from '../../gateway/drain.ts'
import type { ListenSource } from '../../gateway/plane.ts'
import type { EndpointsUpdate } from '../../gateway/plane-services.ts'
import type { LogBatch } from '../../observability/log-batcher.ts'
import type { RemoteDocuments } from '../../state/remote-documents.ts'
import { busyCode } from './busy-code.ts'
import { serveDocuments } from './document-port.ts'
import {
  type ThreadCalls,
  type ThreadData,
  type ThreadMethod,
  type ThreadRequest,
  type ThreadResponse,
  takeApart,
} from './thread-protocol.ts'

/** Bounds of waiting for an answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 5_000
const PREPARE_TIMEOUT_MS = 60_000
/** Native code goes on until it returns, whoever wants the thread to end. */
const END_TIMEOUT_MS = 2_000
/** Calls that may wait for an answer at once. */
const CALLS_MAX = 256

interface Call {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly deadline: NodeJS.Timeout
}

/** One data-plane thread. Every call fails once the thread is gone. */
export class DataThread {
  /** Says how the thread ended; never rejects. */
  readonly exited: Promise<string>
  readonly startedAt: number = performance.now()
  readonly #worker: Worker
  readonly #calls = new Map<number, Call>()
  #nextId = 0
  #end: string | null = null
  #reason: string | null = null

  constructor(
    entry: URL,
    data: Omit<ThreadData, 'documents'>,
    documents: RemoteDocuments,
    resourceLimits: ResourceLimits,
    onLog: (batch: LogBatch) => void,
  ) {
    const channel = new MessageChannel()
    serveDocuments(channel.port1, documents)
    this.#worker = new Worker(entry, {
      workerData: { ...data, documents: channel.port2 } satisfies ThreadData,
      transferList: [channel.port2],
      resourceLimits,
      name: `data-${data.threadIndex}`,
    })
    this.#worker.on('message', (message: unknown) => {
      if (isLogBatch(message)) onLog(message)
      else if (isResponse(message)) this.#receive(message)
    })
    this.exited = new Promise((resolve) => {
      this.#worker.on('error', (error: Error) => {
        this.#reason ??= error.stack ?? error.message
      })
      this.#worker.once('exit', (code) => {
        this.#end = this.#reason ?? `exit code ${code}`
        for (const { reject, deadline } of this.#calls.values()) {
          clearTimeout(deadline)
          reject(new Error(`the thread ended: ${this.#end}`))
        }
        this.#calls.clear()
        resolve(this.#end)
      })
    })
  }

  /** Hands a document over in parts and has it compiled; returns the problems it has in this thread. */
  async prepare(document: Document, generation: number): Promise<string[]> {
    const { head, parts } = takeApart(document)
    // A thread that just started imports its code before it answers.
    await this.#call('begin', { generation, head }, PREPARE_TIMEOUT_MS)
    // One after the other: the thread serves requests between two parts.
    for (const part of parts) await this.#call('add', { generation, part })
    return this.#call('prepare', { generation }, PREPARE_TIMEOUT_MS)
  }

  switchTo(generation: number, endpoints: EndpointsUpdate): Promise<void> {
    return this.#call('switchTo', { generation, endpoints })
  }

  discard(generation: number): Promise<void> {
    return this.#call('discard', { generation })
  }

  listen(key: string, source: ListenSource): Promise<number> {
    return this.#call('listen', { key, source })
  }

  updateEndpoints(endpoints: EndpointsUpdate): Promise<void> {
    return this.#call('updateEndpoints', { endpoints })
  }

  stats(): Promise<Record<string, number>> {
    return this.#call('stats', {})
  }

  /** Ends as `plan` says, and gives everything back. @returns how many exchanges were cut off. */
  async drain(plan: DrainPlan): Promise<number> {
    const cut = await this.#call('drain', { plan }, drainMs(plan) + ANSWER_TIMEOUT_MS)
    await this.#call('close', {})
    return cut
  }

  /** Where the thread spends its time, though it answers no call; null when that cannot be known. */
  busyCode(): Promise<string | null> {
    return busyCode(this.#worker)
  }

  /**
   * Ends the thread, for `reason` if one is given. @returns false when it does not end within two
   * seconds: it sits in native code, and only the end of the process ends it.
   */
  async terminate(reason: string | null = null): Promise<boolean> {
    this.#reason ??= reason
    const { promise: timeout, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), END_TIMEOUT_MS)
    const ended = this.#worker.terminate().then(() => true)
    const isEnded = await Promise.race([ended, timeout])
    clearTimeout(timer)
    return isEnded
  }

  #call<Method extends ThreadMethod>(
    method: Method,
    params: ThreadCalls[Method]['params'],
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<ThreadCalls[Method]['result']> {
    if (this.#end !== null) return Promise.reject(new Error(`the thread ended: ${this.#end}`))
    if (this.#calls.size >= CALLS_MAX)
      return Promise.reject(new Error('the thread answers too slowly'))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        this.#calls.delete(id)
        reject(new Error(`the thread did not answer \`${method}\` within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#calls.set(id, { resolve: resolve as (value: unknown) => void, reject, deadline })
      this.#worker.postMessage({ id, method, params } as ThreadRequest)
    })
  }

  #receive({ id, result, failure }: ThreadResponse): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    this.#calls.delete(id)
    clearTimeout(call.deadline)
    if (failure === null) call.resolve(result)
    else call.reject(new Error(failure))
  }
}

// The code of policies may post to its parent what it likes: only what looks as expected is taken.

function isLogBatch(message: unknown): message is LogBatch {
  const { text, lines } = (message ?? {}) as Partial<LogBatch>
  return typeof text === 'string' && typeof lines === 'number'
}

function isResponse(message: unknown): message is ThreadResponse {
  const { id, failure } = (message ?? {}) as Partial<ThreadResponse>
  return typeof id === 'number' && failure !== undefined
}
