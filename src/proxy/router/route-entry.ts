// What goes into the router: requests as it sees them, and routes as it is given them.

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

/** Reads the path parameters of a request whose path a route matched. */
export interface PathParameters {
  /** By name, percent-decoded. */
  parametersOf(path: string): Record<string, string>
}

/** A condition on one header (any case) or query parameter. */
export interface ValueCondition {
  readonly name: string
  readonly kind: 'exact' | 'present' | 'absent' | 'prefix' | 'regex'
  /** '' where the kind has no value. */
  readonly value: string
}

/** One route as the table sees it: what it matches and the value it stands for. */
export interface RouteEntry<T> {
  readonly id: string
  /** `shop.example`, `*.shop.example`; empty: any. */
  readonly hosts: readonly string[]
  /** `/users/{id}`, `/users/*`, `~ ^/v[0-9]+/`; null: any. */
  readonly path: string | null
  /** Empty: any. */
  readonly methods: readonly string[]
  readonly headers: readonly ValueCondition[]
  readonly query: readonly ValueCondition[]
  /** Addresses and networks; empty: any. */
  readonly clientIps: readonly string[]
  /** The last rule of precedence: the higher goes first. */
  readonly priority: number
  readonly value: T
}
