// What the checks across a document look at, and where in the written file its parts stand.
import type { PolicyDefinition } from '../../proxy/pipeline/policy.ts'
import { type DataPath, valueAt } from '../problem.ts'
import type { Resolved } from '../references.ts'
import type { Document } from '../schema.ts'
import type { Validated } from '../validate.ts'

/** A document as far as it could be understood, beside what was written. */
export class CheckInput {
  readonly document: Document
  readonly policies: readonly PolicyDefinition[]
  /** Whether the document holds all that was written; if not, what seems unused may be used. */
  readonly isComplete: boolean
  readonly references: Resolved
  /** Whether it was written as text, which cannot read the environment in any other way. */
  readonly isText: boolean
  readonly #validated: Validated

  constructor(
    document: Document,
    validated: Validated,
    references: Resolved,
    policies: readonly PolicyDefinition[],
    isText: boolean,
  ) {
    this.document = document
    this.policies = policies
    this.isComplete = validated.isComplete
    this.references = references
    this.isText = isText
    this.#validated = validated
  }

  /** The written value at a path. */
  written(path: DataPath): unknown {
    return valueAt(this.references.data, path)
  }

  /** The keys of a written map; none when it is not one. */
  keys(path: DataPath): string[] {
    const value = this.written(path)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.keys(value)
      : []
  }

  /** Where a route of the document, or one of its settings, was written. */
  routePath(index: number, ...rest: (string | number)[]): DataPath {
    const route: DataPath = ['routes', this.#validated.routeIndexes[index] ?? index]
    const candidates: DataPath[] = [[...route, ...rest], [...route, 'match', ...rest], route]
    return candidates.find((path) => this.written(path) !== undefined) ?? route
  }

  /** Whether a part of a route of the document is missing because it was wrong. */
  isDamaged(index: number): boolean {
    return this.#validated.isDamaged(this.routePath(index))
  }

  /** Where a use on every route was written. */
  usePath(index: number): DataPath {
    return ['use', this.#validated.useIndexes[index] ?? index]
  }

  /** Where a listener, or one of its settings, was written. */
  listenerPath(index: number, ...rest: (string | number)[]): DataPath {
    const listener: DataPath = Array.isArray(this.written(['listen']))
      ? ['listen', index]
      : ['listen']
    const path = [...listener, ...rest]
    return this.written(path) === undefined ? listener : path
  }
}
