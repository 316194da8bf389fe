// What the checks across a document look at, and where in the written file its parts stand.
import type { PolicyDefinition } from '../../proxy/pipeline/policy.ts'
import { type DataPath, valueAt } from '../problem.ts'
import type { Resolved } from '../references.ts'
import type { Document, PolicyUse } from '../schema.ts'
import type { Validated } from '../validate.ts'

/** A use of a policy on one route, and where it was written. */
export interface FirstUse {
  readonly use: PolicyUse
  readonly routeId: string
  readonly path: DataPath
}

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

  /** Every use of a policy that settings were written for, once, with the place of its first use. */
  uses(): FirstUse[] {
    const { document } = this
    const first: FirstUse[] = []
    // Uses of a named policy share their settings.
    const seen = new Set<unknown>()
    const add = (use: PolicyUse, routeId: string, path: DataPath): void => {
      if (seen.has(use.settings)) return
      seen.add(use.settings)
      first.push({ use, routeId, path })
    }
    const firstId = document.routes[0]?.id ?? ''
    for (const [index, use] of document.use.entries()) add(use, firstId, this.usePath(index))
    for (const [place, route] of document.routes.entries()) {
      for (const [index, use] of route.use.entries()) {
        add(use, route.id, this.routePath(place, 'use', index))
      }
    }
    return first
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
