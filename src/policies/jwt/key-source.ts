// Where keys come from: they are there from the start, or they are followed on the issuer's server.
import type { Clock } from '../../lib/clock.ts'
import type { Kept, PolicyLog } from '../../proxy/pipeline/policy.ts'
import type {
  RemoteDocument,
  RemoteDocuments,
  RemoteFollowing,
  RemoteSource,
} from '../../state/remote-documents.ts'
import { remoteUrlProblem } from '../../state/remote-url.ts'
import type { AlgorithmName } from './algorithms.ts'
import { type KeySet, publishedKeySet } from './key-set.ts'

/** Keys, and a way to ask for newer ones. */
export interface KeySource extends Kept {
  /** Null while none could be had. */
  readonly current: KeySet | null
  /** Whether newer ones were asked for in vain. */
  readonly isFailing: boolean
  /**
   * Asks for the key of this name. Resolves when the answer is there, or when waiting has lasted long
   * enough; null when there is nothing to wait for.
   */
  ask(kid: string | null): Promise<void> | null
}

/** Keys of the configuration. */
export class ConfiguredKeys implements KeySource {
  readonly current: KeySet
  readonly isFailing = false

  constructor(current: KeySet) {
    this.current = current
  }

  ask(): null {
    return null
  }

  dispose(): void {}
}

/** How keys are followed. */
export interface FollowedKeysOptions {
  /** The set's own URL; null: the issuer says where it is. */
  readonly url: string | null
  /** Whose metadata to read; null with a URL. */
  readonly issuer: string | null
  readonly algorithms: readonly AlgorithmName[]
  readonly allowHttp: boolean
  /** Longest wait of a request. */
  readonly waitMs: number
  readonly source: Omit<RemoteSource, 'url'>
  readonly documents: RemoteDocuments
  readonly clock: Clock
  readonly log: PolicyLog
}

/** Names of keys that are remembered as unknown. */
const UNKNOWN_MAX = 1_000
const KID_LENGTH_MAX = 256
/** A key may be published after the first token that needs it: a name is unknown for so many intervals. */
const UNKNOWN_INTERVALS = 6

/** Keys on a server. */
export class FollowedKeys implements KeySource {
  current: KeySet | null = null
  readonly #options: FollowedKeysOptions
  /** Where metadata may be; empty when the URL of the set is known, or once it is. */
  #metadata: RemoteFollowing[] = []
  #keys: RemoteFollowing | null = null
  #keysUrl: string | null = null
  /** What is wrong with the document that was fetched last; null when nothing is. */
  #defect: string | null = null
  #reported: string | null = null
  #wave: Promise<void> | null = null
  #askedAt = Number.NEGATIVE_INFINITY
  /** Whether the last wait brought an answer of the server: it may have come too soon after another. */
  #wasFetched = false
  /** When each was found to be unknown, oldest first. */
  readonly #unknown = new Map<string, number>()

  constructor(options: FollowedKeysOptions) {
    this.#options = options
    const { url, issuer } = options
    if (url !== null) this.#followKeys(url)
    else this.#metadata.push(this.#followMetadata(metadataUrls(issuer!)[0]!))
  }

  get isFailing(): boolean {
    return this.#failure() !== null
  }

  ask(kid: string | null): Promise<void> | null {
    if (this.#wave === null) {
      const now = this.#options.clock.now()
      const interval = this.#options.source.refetchMinMs
      if (this.current !== null && !this.#mayKnow(kid ?? '', now - interval * UNKNOWN_INTERVALS)) {
        return null
      }
      if (now - this.#askedAt < interval) return null
      this.#askedAt = now
      this.#wave = this.#begin()
    }
    return kid === null ? this.#wave : this.#wave.then(() => this.#note(kid))
  }

  dispose(): void {
    this.#keys?.stop()
    for (const following of this.#metadata) following.stop()
  }

  #mayKnow(kid: string, since: number): boolean {
    return kid.length <= KID_LENGTH_MAX && (this.#unknown.get(kid) ?? since) <= since
  }

  #note(kid: string): void {
    if (this.current === null || !this.#wasFetched || kid.length > KID_LENGTH_MAX) return
    if (this.current.candidates(kid).length > 0) return
    this.#unknown.delete(kid)
    if (this.#unknown.size === UNKNOWN_MAX) {
      this.#unknown.delete(this.#unknown.keys().next().value!)
    }
    this.#unknown.set(kid, this.#options.clock.now())
  }

  /** One wait for everybody who asks meanwhile. */
  async #begin(): Promise<void> {
    const before = this.#keys?.current?.fetchedAtMs
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, this.#options.waitMs)
    timer.unref()
    this.#refresh().then(resolve, resolve)
    await promise
    clearTimeout(timer)
    this.#wave = null
    this.#wasFetched = !this.isFailing && this.#keys?.current?.fetchedAtMs !== before
    this.#report()
  }

  async #refresh(): Promise<void> {
    if (this.#keys === null) await this.#discover()
    await this.#keys?.refresh()
  }

  /** Reads metadata where OpenID Connect puts it and, if it is not there, where RFC 8414 does. */
  async #discover(): Promise<void> {
    const urls = metadataUrls(this.#options.issuer!)
    for (const [index, url] of urls.entries()) {
      const following = this.#metadata[index] ?? this.#followMetadata(url)
      this.#metadata[index] = following
      await following.refresh()
      if (this.#keys !== null) return
    }
  }

  #followMetadata(url: string): RemoteFollowing {
    return this.#follow(url, (text) => this.#takeMetadata(text))
  }

  #followKeys(url: string): void {
    if (url === this.#keysUrl) return
    this.#keys?.stop()
    this.#keysUrl = url
    this.#keys = this.#follow(url, (text) => {
      const next = publishedKeySet(text, this.#options.algorithms)
      this.current = this.current === null ? next : this.current.replacedBy(next)
      this.#unknown.clear()
    })
  }

  #takeMetadata(text: string): void {
    const { issuer, jwks_uri: url } = (JSON.parse(text) ?? {}) as Record<string, unknown>
    if (issuer !== this.#options.issuer) throw new Error('the metadata is that of another issuer')
    const problem = typeof url === 'string' && remoteUrlProblem(url, this.#options.allowHttp)
    if (problem !== null) throw new Error('the metadata names no `jwks_uri` that can be used')
    this.#followKeys(url as string)
  }

  #follow(url: string, take: (text: string) => void): RemoteFollowing {
    const { documents, source } = this.#options
    return documents.follow({ ...source, url }, (document: RemoteDocument) => {
      try {
        take(document.text)
        this.#defect = null
      } catch (error) {
        this.#defect = `${url}: ${(error as Error).message}`
      }
      this.#report()
    })
  }

  #failure(): string | null {
    if (this.#defect !== null) return this.#defect
    if (this.#keys !== null) return this.#keys.failure
    return this.#metadata[0]?.failure ?? null
  }

  /** Says once what is wrong, and once that it is over. */
  #report(): void {
    const { log, url, issuer } = this.#options
    const failure = this.#failure()
    if (failure === this.#reported) return
    this.#reported = failure
    const from = this.#keysUrl ?? url ?? issuer
    if (failure === null) log.info({ from }, 'the keys for tokens are there again')
    else log.warn({ from, reason: failure }, 'the keys for tokens could not be fetched')
  }
}

/** OpenID Connect Discovery 4, then RFC 8414 3.1. */
function metadataUrls(issuer: string): string[] {
  const url = new URL(issuer)
  const path = url.pathname.replace(/\/$/, '')
  return [
    `${url.origin}${path}/.well-known/openid-configuration`,
    `${url.origin}/.well-known/oauth-authorization-server${path}`,
  ]
}
