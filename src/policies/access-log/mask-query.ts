// A query without its secrets.
import { looksSecret } from '../field.ts'

const MASK = '***'

/** The raw query (without `?`) with the values masked whose names look like those of secrets. */
export function maskQuery(query: string): string {
  let masked = ''
  let start = 0
  while (start <= query.length) {
    let end = query.indexOf('&', start)
    if (end < 0) end = query.length
    const equals = query.indexOf('=', start)
    const part = query.slice(start, end)
    if (start > 0) masked += '&'
    if (equals < 0 || equals >= end) masked += part
    else {
      const name = query.slice(start, equals)
      masked += looksSecret(decoded(name)) ? `${name}=${MASK}` : part
    }
    start = end + 1
  }
  return masked
}

function decoded(name: string): string {
  if (!name.includes('%')) return name
  try {
    return decodeURIComponent(name)
  } catch {
    // What cannot be decoded cannot be judged by its name; unreadable names are rare and go masked.
    return 'secret'
  }
}
