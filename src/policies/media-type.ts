// Media types of request bodies (RFC 9110 8.3.1), read strictly: what two readers could read in two
// ways is none.

/** A media type, as far as policies ask. */
export interface MediaType {
  /** `application/json`, in lower case, without parameters. */
  readonly name: string
  /** In lower case; null if it is not stated. */
  readonly charset: string | null
}

const TYPE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+/
const PARAMETER =
  /[ \t]*;[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"))?/y
const TRAILING = /[ \t]*$/y

/** Reads a Content-Type; null when it is malformed, or states its charset twice. */
export function parseMediaType(value: string): MediaType | null {
  const type = TYPE.exec(value)
  if (type === null) return null
  let charset: string | null = null
  let at = type[0].length
  for (;;) {
    PARAMETER.lastIndex = at
    const parameter = PARAMETER.exec(value)
    if (parameter === null) break
    at = PARAMETER.lastIndex
    if (parameter[1]?.toLowerCase() !== 'charset') continue
    if (charset !== null) return null
    charset = (parameter[2] ?? parameter[3]!.replace(/\\(.)/g, '$1')).toLowerCase()
  }
  TRAILING.lastIndex = at
  return TRAILING.test(value) ? { name: type[0].toLowerCase(), charset } : null
}

/** Whether a type belongs to JSON: `application/json`, or one that ends with `+json` (RFC 6839 3.1). */
export function isJson({ name }: MediaType): boolean {
  return name === 'application/json' || name.endsWith('+json')
}
