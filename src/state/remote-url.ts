// Which addresses may be asked for documents that decide who is let in.
import { isIP } from 'node:net'

/** Why a document may not be fetched from here, in words; null if it may. */
export function remoteUrlProblem(text: string, allowHttp: boolean): string | null {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return 'expected a URL like https://id.example/keys.json'
  }
  if (url.username !== '' || url.password !== '') return 'a URL here has no user and no password'
  if (url.hash !== '') return 'a URL here has no fragment'
  if (url.protocol === 'http:' && !allowHttp && !isLoopback(url.hostname)) {
    return 'anybody on the way could change what http brings; use https'
  }
  return null
}

function isLoopback(hostname: string): boolean {
  if (hostname === 'localhost' || hostname === '[::1]') return true
  return isIP(hostname) === 4 && hostname.startsWith('127.')
}
