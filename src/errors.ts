// The catalogue of every answer that Gatehouse makes itself. The code is the contract: stable,
// documented in docs/reference/errors.md (generated from here), never reused once retired.

/** Who caused the failure: the client, this gateway, or what stands behind it. */
export type ErrorSource = 'client' | 'gateway' | 'upstream'

/** One kind of failure. `proxyStatus` is the error type of RFC 9209 section 2.3 it is reported as. */
export interface ErrorKind {
  readonly status: number
  readonly source: ErrorSource
  /** Whether a client may send the same request again and expect another answer. */
  readonly retryable: boolean
  readonly title: string
  readonly proxyStatus: string
}

function kind(
  status: number,
  source: ErrorSource,
  retryable: boolean,
  proxyStatus: string,
  title: string,
): ErrorKind {
  return { status, source, retryable, title, proxyStatus }
}

/** Every failure by its code. */
// biome-ignore format: a table is read by its columns
export const ERRORS = {
  // The request cannot be read with one meaning.
  bad_request_line: kind(400, 'client', false, 'http_request_error', 'The request line is malformed.'),
  bad_header: kind(400, 'client', false, 'http_request_error', 'A header field is malformed.'),
  bad_framing: kind(400, 'client', false, 'http_request_error', 'The length of the request body is ambiguous.'),
  bad_chunk: kind(400, 'client', false, 'http_request_error', 'The chunked request body is malformed.'),
  bad_host: kind(400, 'client', false, 'http_request_error', 'The Host header is missing, repeated or malformed.'),
  bad_target: kind(400, 'client', false, 'http_request_error', 'The request target is malformed or ambiguous.'),
  bad_connection: kind(400, 'client', false, 'http_request_error', 'The Connection header names a field that it may not remove.'),
  bad_version: kind(400, 'client', false, 'http_request_error', 'The HTTP version is not supported.'),
  method_refused: kind(400, 'client', false, 'http_request_denied', 'The method is not supported by this gateway.'),
  expectation_failed: kind(417, 'client', false, 'http_request_error', 'The Expect header asks for something unknown.'),
  bad_proxy_header: kind(400, 'client', false, 'http_request_error', 'The connection did not begin with a PROXY header from a peer that sends one.'),
  // Limits.
  target_too_long: kind(414, 'client', false, 'http_request_error', 'The request target is too long.'),
  head_too_large: kind(431, 'client', false, 'http_request_error', 'The request header fields are too large.'),
  body_too_large: kind(413, 'client', false, 'http_request_error', 'The request body is too large.'),
  head_timeout: kind(408, 'client', true, 'http_request_error', 'The request head did not arrive in time.'),
  body_timeout: kind(408, 'client', true, 'http_request_error', 'The request body did not arrive in time.'),
  too_many_connections: kind(429, 'client', true, 'http_request_denied', 'The client address has too many connections open.'),
  // Routing.
  route_not_found: kind(404, 'gateway', false, 'destination_not_found', 'No route matches this request.'),
  method_not_allowed: kind(405, 'gateway', false, 'http_request_denied', 'The route does not take this method.'),
  // Reaching a service.
  no_endpoint: kind(503, 'upstream', true, 'destination_unavailable', 'The service has no endpoint that can be used.'),
  queue_full: kind(503, 'gateway', true, 'connection_limit_reached', 'Too many requests wait for a connection to the service.'),
  queue_timeout: kind(503, 'gateway', true, 'connection_limit_reached', 'No connection to the service became free in time.'),
  connect_refused: kind(502, 'upstream', true, 'connection_refused', 'The service refused the connection.'),
  connect_timeout: kind(504, 'upstream', true, 'connection_timeout', 'The service did not accept the connection in time.'),
  connect_failed: kind(502, 'upstream', true, 'destination_ip_unroutable', 'The service could not be reached.'),
  tls_failed: kind(502, 'upstream', false, 'tls_protocol_error', 'The TLS handshake with the service failed.'),
  tls_untrusted: kind(502, 'upstream', false, 'tls_certificate_error', "The service's certificate is not trusted."),
  upstream_closed: kind(502, 'upstream', true, 'connection_terminated', 'The service closed the connection before it answered.'),
  upstream_reset: kind(502, 'upstream', true, 'connection_terminated', 'The service reset the connection.'),
  upstream_invalid: kind(502, 'upstream', false, 'http_protocol_error', 'The service sent an answer that is not valid HTTP.'),
  upstream_head_too_large: kind(502, 'upstream', false, 'http_response_header_section_size', "The header of the service's answer is too large."),
  upstream_truncated: kind(502, 'upstream', false, 'http_response_incomplete', "The service's answer ended early."),
  upstream_upgrade_failed: kind(502, 'upstream', false, 'http_upgrade_failed', 'The service answered the upgrade with another protocol.'),
  upstream_timeout: kind(504, 'upstream', true, 'http_response_timeout', 'The service did not answer in time.'),
  upstream_idle: kind(504, 'upstream', true, 'http_response_timeout', 'The service stopped sending in the middle of its answer.'),
  exchange_timeout: kind(504, 'gateway', true, 'http_response_timeout', 'The request took longer than the route allows.'),
  deadline_exceeded: kind(504, 'gateway', false, 'http_response_timeout', 'The time that the client gave the request is over.'),
  circuit_open: kind(503, 'upstream', true, 'destination_unavailable', 'The service fails, and is given time to recover.'),
  service_overloaded: kind(503, 'gateway', true, 'connection_limit_reached', 'The service works on as many requests as it may, and this one could not wait any longer.'),
  // The gateway itself.
  policy_failed: kind(500, 'gateway', true, 'proxy_internal_error', 'A policy failed while it handled the request.'),
  internal: kind(500, 'gateway', true, 'proxy_internal_error', 'The gateway failed to handle the request.'),
  loop_detected: kind(508, 'client', false, 'proxy_loop_detected', 'The request passed through this gateway too often.'),
  draining: kind(503, 'gateway', true, 'proxy_internal_response', 'The gateway is shutting down.'),
  gateway_overloaded: kind(503, 'gateway', true, 'proxy_internal_response', 'The gateway has too much to do, and answers more important requests first.'),
  overloaded: kind(503, 'gateway', true, 'proxy_internal_response', 'The gateway has too many connections.'),
  // Policies.
  cors_refused: kind(403, 'client', false, 'http_request_denied', 'The origin may not call this API.'),
  authorization_unavailable: kind(503, 'gateway', true, 'proxy_internal_response', 'The service that decides who may pass gave no decision.'),
  upstream_auth_unavailable: kind(503, 'gateway', true, 'proxy_internal_response', 'The credentials that the service needs could not be fetched.'),
  introspection_unavailable: kind(503, 'gateway', true, 'proxy_internal_response', 'The token could not be looked up.'),
  login_required: kind(401, 'client', false, 'http_request_denied', 'This request needs a signed-in user.'),
  login_failed: kind(400, 'client', false, 'http_request_denied', 'The sign-in could not be completed.'),
  login_unavailable: kind(503, 'gateway', true, 'proxy_internal_response', 'The identity provider could not be reached.'),
  authentication_required: kind(401, 'client', false, 'http_request_denied', 'The request does not say who calls.'),
  credential_invalid: kind(401, 'client', false, 'http_request_denied', 'The credential is not valid.'),
  credential_expired: kind(401, 'client', false, 'http_request_denied', 'The credential is no longer valid.'),
  credential_ambiguous: kind(400, 'client', false, 'http_request_error', 'The request carries more than one credential.'),
  credentials_busy: kind(503, 'gateway', true, 'proxy_internal_response', 'Too many passwords wait to be verified.'),
  too_many_failures: kind(429, 'client', true, 'http_request_denied', 'Too many attempts to sign in have failed.'),
  forbidden: kind(403, 'client', false, 'http_request_denied', 'The caller may not do this.'),
  address_refused: kind(403, 'client', false, 'http_request_denied', 'The address of the client may not call this API.'),
  blocked: kind(403, 'client', false, 'http_request_denied', 'A rule of the gateway refuses this request.'),
  csrf_refused: kind(403, 'client', false, 'http_request_denied', 'The request was sent by a page of another site.'),
  unsupported_media_type: kind(415, 'client', false, 'http_request_error', 'The media type of the request body is not supported here.'),
  validation_failed: kind(400, 'client', false, 'http_request_error', 'The request does not have the form that this API expects.'),
  signature_missing: kind(401, 'client', false, 'http_request_denied', 'The request is not signed.'),
  signature_invalid: kind(401, 'client', false, 'http_request_denied', 'The signature of the request cannot be accepted.'),
  token_missing: kind(401, 'client', false, 'http_request_denied', 'A token is needed to call this.'),
  token_invalid: kind(401, 'client', false, 'http_request_denied', 'The token is not accepted.'),
  keys_unavailable: kind(503, 'gateway', true, 'proxy_internal_response', 'The keys that tokens are checked with cannot be fetched.'),
  rate_limited: kind(429, 'client', true, 'http_request_denied', 'Too many requests have come in too short a time.'),
  quota_exceeded: kind(429, 'client', true, 'http_request_denied', 'The quota of this period is used up.'),
  concurrency_exceeded: kind(429, 'client', true, 'http_request_denied', 'Too many requests are in flight at once.'),
  // Ends that no client can be told about; they appear in logs and metrics only.
  client_closed: kind(499, 'client', true, 'http_request_error', 'The client went away before it had its answer.'),
} as const satisfies Record<string, ErrorKind>

/** The stable name of a failure. */
export type ErrorCode = keyof typeof ERRORS

/** Looks a code up, with the wide type. */
export function errorKind(code: ErrorCode): ErrorKind {
  return ERRORS[code]
}
