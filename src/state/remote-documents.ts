// Documents that policies follow on other servers (key sets, metadata): fetched once for all threads,
// kept through failures.

/** Where a document is, and how it may be fetched. */
export interface RemoteSource {
  readonly url: string
  readonly timeoutMs: number
  readonly bytesMax: number
  /** No two fetches begin closer together than this, whoever asks. */
  readonly refetchMinMs: number
  /** A document without cache times of its own is fetched again after this; with longer ones as well. */
  readonly refetchMaxMs: number
}

/** A document as it was last fetched. */
export interface RemoteDocument {
  readonly text: string
  /** Wall clock, milliseconds since 1970. */
  readonly fetchedAtMs: number
}

/** One follower's view of a document. */
export interface RemoteFollowing {
  /** The last one that could be fetched; null before the first. */
  readonly current: RemoteDocument | null
  /** Why the latest fetch failed, in words; null when it did not. */
  readonly failure: string | null
  /**
   * Asks for a newer one. Resolves when the fetch that this began or joined is over, however it went,
   * and at once when `refetchMinMs` forbids another.
   */
  refresh(): Promise<void>
  stop(): void
}

/** Fetches for all threads. */
export interface RemoteDocuments {
  /** Follows a document until `stop`; `onChange` is called for every new text, never within this call. */
  follow(source: RemoteSource, onChange: (document: RemoteDocument) => void): RemoteFollowing
}
