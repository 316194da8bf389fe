// Where a command writes, and in which colours.

/** A command's outside world; tests hand in their own. */
export interface Terminal {
  readonly cwd: string
  /** Results. */
  out(text: string): void
  /** What went wrong, and what is said beside results. */
  err(text: string): void
  /** Paints what goes to `out`. */
  readonly paint: Paint
  /** Paints what goes to `err`. */
  readonly errPaint: Paint
}

/** Colours; each gives its text back as it is where colours are not wanted. */
export interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
  cyan(text: string): string
}

function code(isOn: boolean, open: number, close: number): (text: string) => string {
  return isOn ? (text) => `\x1b[${open}m${text}\x1b[${close}m` : (text) => text
}

/** Makes the colours. */
export function makePaint(isOn: boolean): Paint {
  return {
    bold: code(isOn, 1, 22),
    dim: code(isOn, 2, 22),
    red: code(isOn, 31, 39),
    green: code(isOn, 32, 39),
    yellow: code(isOn, 33, 39),
    cyan: code(isOn, 36, 39),
  }
}

/** The terminal of this process. Colours only for a person who did not refuse them (no-color.org). */
export function processTerminal(): Terminal {
  // Whoever reads a pipe may stop reading: `gatehouse routes | head`.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
  const wantsColor = (process.env.NO_COLOR ?? '') === ''
  return {
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    paint: makePaint(wantsColor && process.stdout.isTTY === true),
    errPaint: makePaint(wantsColor && process.stderr.isTTY === true),
  }
}
