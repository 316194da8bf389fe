// Reads scenario files: a configuration, then conversations written down as they happen on the wire.
//
//   # What the file shows.
//   services: { users: http://users.test }           YAML, up to the first ==
//   routes: [{ path: /api/users/*, to: users }]
//
//   == a request below the prefix                    one conversation, over one connection
//   > GET /api/users/7 HTTP/1.1                      the client sends this
//   > Accept: text/plain
//   users> GET /api/users/7                          the service `users` must get this
//   users> !Connection
//   users< 200                                       and answers with this
//   users<
//   users< Ada
//   < 200                                            the client must get this
//   < Via: 1.1 gatehouse
//   <
//   < Ada
//
// `http://NAME.test` stands for a service that the runner starts, `http://nobody.test` for an address
// where nobody listens. What is sent gets Host and Content-Length where they are left out. Of what is
// received the start line and the body, if they are written, must be equal; of the fields those that
// are written must be there: `Name: value`, `Name: *` (any), `Name: /regular expression/`, `!Name`
// (not there). A service that is not written must not be asked; one that is written without an answer
// says `hello from NAME`, and instead of a status it may say `closes`, `resets` or `stalls`.

/** A block of lines in one direction. */
export interface Block {
  /** Line number in the file. */
  readonly line: number
  readonly start: string
  readonly fields: readonly string[]
  /** The lines behind the empty one; null where there is none. */
  readonly body: string | null
}

/** What one service gets and says. */
export interface ServiceTurn {
  readonly name: string
  readonly expected: Block | null
  readonly answer: Block | null
}

/** One request and all that comes of it. */
export interface Turn {
  readonly request: Block
  readonly services: readonly ServiceTurn[]
  readonly response: Block | null
}

/** One conversation. */
export interface Conversation {
  readonly title: string
  readonly turns: readonly Turn[]
}

/** A whole file. */
export interface Scenario {
  readonly configuration: string
  readonly conversations: readonly Conversation[]
  /** Names of the services that the configuration or a conversation mentions. */
  readonly services: readonly string[]
}

interface Piece {
  readonly who: string
  readonly direction: '>' | '<'
  readonly block: Block
}

const LINE = /^([a-z][a-z0-9-]*)?([<>])(?: (.*))?$/

/** @throws Error with the line that cannot be read. */
export function parseScenario(text: string): Scenario {
  const lines = text.split('\n')
  const first = lines.findIndex((line) => line.startsWith('== '))
  if (first === -1) throw new Error('there is no conversation; one begins with "== title"')
  const configuration = lines.slice(0, first).join('\n')
  const conversations: Conversation[] = []
  for (let at = first; at < lines.length; ) {
    let end = at + 1
    while (end < lines.length && !lines[end]!.startsWith('== ')) end++
    const turns = turnsOf(piecesOf(lines, at + 1, end))
    conversations.push({ title: lines[at]!.slice(3), turns })
    at = end
  }
  const mentioned = Array.from(configuration.matchAll(/https?:\/\/([a-z][a-z0-9-]*)\.test\b/g))
  const services = new Set(mentioned.map((match) => match[1]!))
  services.delete('nobody')
  return { configuration, conversations, services: [...services] }
}

/** Puts neighbouring lines of one speaker together. */
function piecesOf(lines: readonly string[], start: number, end: number): Piece[] {
  const pieces: Piece[] = []
  let open: { who: string; direction: '>' | '<'; line: number; texts: string[] } | null = null
  const close = (): void => {
    if (open !== null) pieces.push({ ...open, block: blockOf(open.line, open.texts) })
    open = null
  }
  for (let i = start; i < end; i++) {
    const line = lines[i]!
    if (line === '' || line.startsWith('#')) {
      close()
      continue
    }
    const match = LINE.exec(line)
    if (match === null) throw new Error(`line ${i + 1}: what is this? ${line}`)
    const who = match[1] ?? ''
    const direction = match[2] as '>' | '<'
    if (open === null || open.who !== who || open.direction !== direction) {
      close()
      open = { who, direction, line: i + 1, texts: [] }
    }
    open.texts.push(match[3] ?? '')
  }
  close()
  return pieces
}

function blockOf(line: number, texts: readonly string[]): Block {
  const empty = texts.indexOf('')
  const head = empty === -1 ? texts : texts.slice(0, empty)
  const body = empty === -1 ? null : texts.slice(empty + 1).join('\n')
  return { line, start: head[0] ?? '', fields: head.slice(1), body }
}

function turnsOf(pieces: readonly Piece[]): Turn[] {
  const turns: { request: Block; services: ServiceTurn[]; response: Block | null }[] = []
  for (const { who, direction, block } of pieces) {
    const turn = turns.at(-1)
    if (who === '' && direction === '>') {
      turns.push({ request: block, services: [], response: null })
    } else if (turn === undefined) {
      throw new Error(`line ${block.line}: a conversation begins with what the client sends`)
    } else if (who === '') {
      turn.response = block
    } else if (direction === '>') {
      turn.services.push({ name: who, expected: block, answer: null })
    } else {
      const asked = turn.services.at(-1)
      const answersThis = asked !== undefined && asked.name === who && asked.answer === null
      if (answersThis) turn.services.pop()
      turn.services.push({
        name: who,
        expected: answersThis ? asked.expected : null,
        answer: block,
      })
    }
  }
  return turns
}
