// The Date field (RFC 9110 5.6.7), made once a second.
let second = -1
let line = ''

/** 'Date: ...' with CRLF for a wall-clock time in ms. */
export function dateLine(wallTime: number): string {
  const now = Math.floor(wallTime / 1000)
  if (now !== second) {
    second = now
    line = `Date: ${new Date(now * 1000).toUTCString()}\r\n`
  }
  return line
}
