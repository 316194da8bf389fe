// Trailers pass by name: a field after the body reaches readers that no longer expect one.
const SECTION = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/

/** The names that pass without being listed: results that are known only once the body is. */
export const TRAILERS_ALLOWED: readonly string[] = [
  'content-digest',
  'content-md5',
  'digest',
  'etag',
  'grpc-message',
  'grpc-status',
  'grpc-status-details-bin',
  'repr-digest',
  'server-timing',
]

/** Whether raw lines, each with CRLF, are all fields (RFC 9112 7.1.2). */
export function isTrailerSection(raw: string): boolean {
  return raw === '' || SECTION.test(raw)
}

/**
 * The lines of a trailer section that may pass (RFC 9110 6.5.1), each with CRLF; '' when none does.
 * @param allowed lower-case names.
 */
export function passedTrailers(raw: string, allowed: ReadonlySet<string>): string {
  if (raw === '') return ''
  let out = ''
  for (const line of raw.split('\r\n')) {
    if (line !== '' && allowed.has(line.slice(0, line.indexOf(':')).toLowerCase()))
      out += `${line}\r\n`
  }
  return out
}
