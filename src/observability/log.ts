// Structured log lines: one JSON object each, with level, time and message.
import { pino } from 'pino'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/** The least important lines that are still written. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Takes ready lines; never blocks and never throws. */
export interface LogSink {
  /** One line without its line break. */
  line(json: string): void
}

/** Writes log lines about one thing. Fields come before the message; an Error may be called `error`. */
export interface Log extends LogSink {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  /** A log whose every line has these fields as well; ready lines go through as they are. */
  child(fields: Readonly<Record<string, unknown>>): Log
}

/** Makes a log that writes to `sink`. Ready lines (`line`) pass whatever the level is. */
export function createLog(sink: LogSink, level: LogLevel): Log {
  const destination = { write: (text: string) => sink.line(text.slice(0, -1)) }
  const options = {
    level,
    base: null,
    messageKey: 'message',
    errorKey: 'error',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return new PinoLog(pino(options, destination), sink)
}

type Pino = Pick<ReturnType<typeof pino>, 'debug' | 'info' | 'warn' | 'error'> & {
  child(bindings: Record<string, unknown>): Pino
}

class PinoLog implements Log {
  readonly #pino: Pino
  readonly #sink: LogSink

  constructor(logger: Pino, sink: LogSink) {
    this.#pino = logger
    this.#sink = sink
  }

  line(json: string): void {
    this.#sink.line(json)
  }

  debug(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#pino.debug(fields, message)
  }

  info(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#pino.info(fields, message)
  }

  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#pino.warn(fields, message)
  }

  error(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#pino.error(fields, message)
  }

  child(fields: Readonly<Record<string, unknown>>): Log {
    return new PinoLog(this.#pino.child({ ...fields }), this.#sink)
  }
}
