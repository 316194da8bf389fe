// What the `headers` policy does to one side of an exchange, prepared.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import { compileValueTemplate, type ValueTemplate } from '../../proxy/pipeline/value-template.ts'

interface Field {
  readonly name: string
  readonly template: ValueTemplate
}

/** Removals first, then replacements, then additions. Nothing is done for what is not there. */
export class HeaderEdits {
  readonly #remove: readonly string[]
  readonly #set: readonly Field[]
  readonly #add: readonly Field[]

  constructor(written: {
    readonly set: Readonly<Record<string, string>>
    readonly add: Readonly<Record<string, string | readonly string[]>>
    readonly remove: readonly string[]
  }) {
    this.#remove = written.remove.map((name) => name.toLowerCase())
    this.#set = fields(written.set)
    this.#add = fields(written.add)
  }

  applyToRequest(exchange: Exchange): void {
    for (let index = 0; index < this.#remove.length; index++) {
      const name = this.#remove[index]!
      if (exchange.requestHeader(name) !== null) exchange.removeRequestHeader(name)
    }
    for (let index = 0; index < this.#set.length; index++) {
      const { name, template } = this.#set[index]!
      const value = template.render(exchange)
      // Never what the client sent in its place: the service would take it for ours.
      if (value === '') exchange.removeRequestHeader(name)
      else exchange.setRequestHeader(name, value)
    }
    for (let index = 0; index < this.#add.length; index++) {
      const { name, template } = this.#add[index]!
      const value = template.render(exchange)
      if (value !== '') exchange.addRequestHeader(name, value)
    }
  }

  applyToResponse(exchange: Exchange): void {
    for (let index = 0; index < this.#remove.length; index++) {
      const name = this.#remove[index]!
      if (exchange.responseHeader(name) !== null) exchange.removeResponseHeader(name)
    }
    for (let index = 0; index < this.#set.length; index++) {
      const { name, template } = this.#set[index]!
      const value = template.render(exchange)
      if (value === '') exchange.removeResponseHeader(name)
      else exchange.setResponseHeader(name, value)
    }
    for (let index = 0; index < this.#add.length; index++) {
      const { name, template } = this.#add[index]!
      const value = template.render(exchange)
      if (value !== '') exchange.addResponseHeader(name, value)
    }
  }
}

function fields(written: Readonly<Record<string, string | readonly string[]>>): Field[] {
  const result: Field[] = []
  for (const [name, values] of Object.entries(written)) {
    for (const value of typeof values === 'string' ? [values] : values) {
      result.push({ name, template: compileValueTemplate(value) })
    }
  }
  return result
}
