// The bounds of one connection's messages.

/** Bounds of what a client may send, and how long it may take. */
export interface HttpLimits {
  readonly targetBytesMax: number
  readonly headBytesMax: number
  readonly headersMax: number
  readonly bodyBytesMax: number
  readonly headTimeoutMs: number
  readonly bodyIdleTimeoutMs: number
  /** The least pace of a body or of reading an answer, in bytes per second; 0: any. */
  readonly bodyBytesPerSecondMin: number
  /** Time before the pace counts, and over which it is measured. */
  readonly bodyRateGraceMs: number
  readonly keepAliveTimeoutMs: number
  readonly requestsPerConnectionMax: number
}

/** Bytes of a chunk's extensions, and of a trailer section, that are read before it is refused. */
export const CHUNK_EXTENSION_BYTES_MAX = 1024
export const TRAILER_BYTES_MAX = 8192
/** After an error answer a client may still send this much, or for this long, before it is cut off. */
export const LINGER_BYTES_MAX = 65536
export const LINGER_TIMEOUT_MS = 1000
/** How long at least a draining connection that never had a request is kept open for it. */
export const FIRST_REQUEST_WAIT_MS = 1000
/** Interim answers (1xx) passed on for one request before the upstream is taken for broken. */
export const INTERIM_RESPONSES_MAX = 16
/** Bytes of an upstream's response head. */
export const RESPONSE_HEAD_BYTES_MAX = 65536
export const RESPONSE_HEADERS_MAX = 256
