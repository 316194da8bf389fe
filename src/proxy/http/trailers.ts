// Trailers pass by name: a field after the body reaches readers that no longer expect one.
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/

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

/**
 * The lines of a trailer section that may pass (RFC 9110 6.5.1).
 * @returns lines with CRLF, '' when none passes, or null when the section is malformed.
 */
export function passedTrailers(raw: string, allowed: ReadonlySet<string>): string | null {
  if (raw === '') return ''
  let out = ''
  for (const line of raw.split('\r\n')) {
    if (line === '') continue
    const match = FIELD_LINE.exec(line)
    if (match === null) return null
    if (allowed.has(match[1]!.toLowerCase())) out += `${line}\r\n`
  }
  return out
}
