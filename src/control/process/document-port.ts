// Remote documents for data-plane threads: the control plane fetches each once, over a port of its own
// every thread follows them.
import type { MessagePort } from 'node:worker_threads'
import type {
  RemoteDocument,
  RemoteDocuments,
  RemoteFollowing,
  RemoteSource,
} from '../../state/remote-documents.ts'

type FromThread =
  | { readonly op: 'follow'; readonly id: number; readonly source: RemoteSource }
  | { readonly op: 'refresh'; readonly id: number; readonly call: number }
  | { readonly op: 'stop'; readonly id: number }

/** How a document stands now; `call` is the refresh that this answers, or null. */
interface Standing {
  readonly id: number
  readonly current: RemoteDocument | null
  readonly failure: string | null
  readonly call: number | null
}

/** Answers one thread until its port closes. Lives in the control plane. */
export function serveDocuments(port: MessagePort, documents: RemoteDocuments): void {
  const followings = new Map<number, RemoteFollowing>()
  const tell = (id: number, call: number | null): void => {
    const following = followings.get(id)
    if (following === undefined) return
    const { current, failure } = following
    port.postMessage({ id, current, failure, call } satisfies Standing)
  }
  port.on('message', (message: FromThread) => {
    const { id } = message
    if (message.op === 'follow') {
      followings.set(
        id,
        documents.follow(message.source, () => tell(id, null)),
      )
      tell(id, null)
    } else if (message.op === 'refresh') {
      void followings
        .get(id)
        ?.refresh()
        .then(() => tell(id, message.call))
    } else {
      followings.get(id)?.stop()
      followings.delete(id)
    }
  })
  port.on('close', () => {
    for (const following of followings.values()) following.stop()
    followings.clear()
  })
  // Following documents is no reason to live on.
  port.unref()
}

/** What one thread follows through the control plane. */
export class PortDocuments implements RemoteDocuments {
  readonly #port: MessagePort
  readonly #followings = new Map<number, PortFollowing>()
  #lastId = 0

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (standing: Standing) => {
      this.#followings.get(standing.id)?.take(standing)
    })
    port.unref()
  }

  follow(source: RemoteSource, onChange: (document: RemoteDocument) => void): RemoteFollowing {
    const id = ++this.#lastId
    const stopped = (): void => {
      this.#followings.delete(id)
    }
    const following = new PortFollowing(id, this.#port, onChange, stopped)
    this.#followings.set(id, following)
    this.#port.postMessage({ op: 'follow', id, source } satisfies FromThread)
    return following
  }
}

class PortFollowing implements RemoteFollowing {
  current: RemoteDocument | null = null
  failure: string | null = null
  readonly #id: number
  readonly #port: MessagePort
  readonly #onChange: (document: RemoteDocument) => void
  readonly #onStop: () => void
  readonly #calls = new Map<number, () => void>()
  #lastCall = 0

  constructor(
    id: number,
    port: MessagePort,
    onChange: (document: RemoteDocument) => void,
    onStop: () => void,
  ) {
    this.#id = id
    this.#port = port
    this.#onChange = onChange
    this.#onStop = onStop
  }

  refresh(): Promise<void> {
    const call = ++this.#lastCall
    return new Promise((resolve) => {
      this.#calls.set(call, resolve)
      this.#port.postMessage({ op: 'refresh', id: this.#id, call } satisfies FromThread)
    })
  }

  stop(): void {
    this.#port.postMessage({ op: 'stop', id: this.#id } satisfies FromThread)
    this.#onStop()
    for (const resolve of this.#calls.values()) resolve()
    this.#calls.clear()
  }

  take({ current, failure, call }: Standing): void {
    const isNew = current !== null && current.text !== this.current?.text
    this.current = current
    this.failure = failure
    if (isNew) this.#onChange(current)
    if (call === null) return
    this.#calls.get(call)?.()
    this.#calls.delete(call)
  }
}
