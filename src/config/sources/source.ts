// A configuration as it was read: plain data, and where each part of it stands.
import type { DataPath, Finding } from '../problem.ts'

/** A place in a text; both from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** A syntax error: a finding that knows its own place. */
export interface SyntaxFinding extends Finding {
  readonly position: Position
}

/** What a source gives. */
export interface Source {
  /** Absolute path of the file. */
  readonly file: string
  /** Lines of the file, for showing; empty when there is no text worth showing. */
  readonly lines: readonly string[]
  /** Plain data; undefined when the text could not be read at all. */
  readonly data: unknown
  readonly problems: readonly SyntaxFinding[]
  /** The place of a path; of what is nearest above it when the path itself does not exist. */
  locate(path: DataPath, at: 'key' | 'value'): Position
}

/** Where a problem is put that has no better place. */
export const FILE_START: Position = { line: 1, column: 1 }
