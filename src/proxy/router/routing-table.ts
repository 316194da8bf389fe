// The contract of the router; see find().

/** What the table asks of a request. It knows nothing of sockets or HTTP objects; lookups are lazy. */
export interface RoutedRequest {
  /** Lower-case host without the port; '' if the request has none. IPv6 in brackets. */
  readonly host: string
  readonly method: string
  /** The raw path, without the query: still percent-encoded, begins with '/'. */
  readonly path: string
  /** The raw query without '?'; '' if there is none. */
  readonly query: string
  readonly clientIp: string
  /** A request header's value by lower-case name, or null. */
  requestHeader(name: string): string | null
}
