// Asks one policy after the other who calls, and lets the one that knew take part in the rest.
import type { Exchange } from '../../proxy/pipeline/exchange.ts'
import type {
  PolicyDefinition,
  PolicyEnvironment,
  PolicyHooks,
  Verdict,
} from '../../proxy/pipeline/policy.ts'
import { Reply } from '../../proxy/pipeline/reply.ts'
import { CredentialPlace } from '../credential-place.ts'

/** A policy with its settings. */
export interface Alternative {
  readonly definition: PolicyDefinition
  readonly settings: unknown
}

/** One of them, ready to be asked. */
interface Asked {
  readonly hooks: PolicyHooks
  /** Where it reads credentials, as text and to be looked at. */
  readonly places: readonly string[]
  readonly all: readonly CredentialPlace[]
  /** What is taken out of a request that this one accepts: credentials that nobody looked at. */
  readonly unread: readonly CredentialPlace[]
}

/** What has been said about one request. */
class Round {
  /** A bit for each that was asked. */
  asked = 0
  /** The one that takes part in the later moments; -1 if none does. */
  chosen = -1
  replies: Reply[] | null = null
  /** The first refusal of a credential, and who refused. */
  refusal: Reply | null = null
  refusedBy = -1
  /** The first offer to sign in, such as a redirect, and who made it. */
  offer: Reply | null = null
  offeredBy = -1
}

/** Codes that say: there is no credential of this kind. */
const ABSENT: ReadonlySet<string> = new Set([
  'authentication_required',
  'login_required',
  'signature_missing',
  'token_missing',
])

/** The alternatives of one stage. */
export class Alternatives {
  readonly #asked: readonly Asked[]
  readonly #environment: PolicyEnvironment
  readonly #slot: number
  /** The answer to these replies, most often the same ones every time. */
  #combined: { readonly replies: readonly Reply[]; readonly reply: Reply } | null = null

  constructor(alternatives: readonly Alternative[], environment: PolicyEnvironment) {
    this.#environment = environment
    this.#slot = environment.slot()
    const places = alternatives.map(credentialPlaces)
    const made: PolicyHooks[] = []
    try {
      for (const { definition, settings } of alternatives) {
        made.push(definition.create(settings, nested(definition.name, environment)))
      }
    } catch (error) {
      for (const hooks of made) hooks.dispose?.()
      throw error
    }
    this.#asked = places.map((own, index) => ({
      hooks: made[index]!,
      places: own,
      all: own.map(CredentialPlace.parse),
      unread: [...new Set(places.flat())]
        .filter((place) => !own.includes(place))
        .map(CredentialPlace.parse),
    }))
  }

  /** Hooks for those moments only in which one of the alternatives takes part. */
  hooks(): PolicyHooks {
    const uses = (name: keyof PolicyHooks): boolean =>
      this.#asked.some(({ hooks }) => hooks[name] !== undefined)
    return {
      onRequest: (exchange) => this.#begin(exchange),
      ...(uses('onForward') && {
        onForward: (exchange) => this.#chosen(exchange)?.onForward?.(exchange),
      }),
      ...(uses('onResponse') && {
        onResponse: (exchange) => this.#chosen(exchange)?.onResponse?.(exchange),
      }),
      ...(uses('onRequestBody') && {
        onRequestBody: (exchange, chunk) => {
          const hooks = this.#chosen(exchange)
          return hooks?.onRequestBody === undefined ? chunk : hooks.onRequestBody(exchange, chunk)
        },
      }),
      ...(uses('onResponseBody') && {
        onResponseBody: (exchange, chunk) => {
          const hooks = this.#chosen(exchange)
          return hooks?.onResponseBody === undefined ? chunk : hooks.onResponseBody(exchange, chunk)
        },
      }),
      ...(uses('onFinish') && { onFinish: (exchange) => this.#finish(exchange) }),
      dispose: () => {
        for (const { hooks } of this.#asked) hooks.dispose?.()
      },
    }
  }

  #begin(exchange: Exchange): Verdict {
    exchange.consumer = null
    exchange.authentication = null
    exchange.pendingFailures = []
    const round = new Round()
    exchange.slots[this.#slot] = round
    return this.#from(exchange, 0, round)
  }

  /** Asks from `first` on. */
  #from(exchange: Exchange, first: number, round: Round): Verdict {
    for (let index = first; index < this.#asked.length; index++) {
      if (!this.#isWorthAsking(index, round)) continue
      round.asked |= 1 << index
      const verdict = this.#asked[index]!.hooks.onRequest?.(exchange)
      if (verdict instanceof Promise) {
        return verdict.then((reply) =>
          this.#accepts(exchange, index, reply, round)
            ? undefined
            : this.#from(exchange, index + 1, round),
        )
      }
      if (this.#accepts(exchange, index, verdict, round)) return
    }
    return this.#refuse(exchange, round)
  }

  /**
   * A credential that one has refused may still be another's, where both read the same place: tokens of
   * two issuers. It is never made good by a second credential from elsewhere.
   */
  #isWorthAsking(index: number, { refusal, refusedBy }: Round): boolean {
    if (refusal === null) return true
    const { places } = this.#asked[refusedBy]!
    return this.#asked[index]!.places.some((place) => places.includes(place))
  }

  /** Whether this one knows who calls; else its reply is noted. */
  #accepts(exchange: Exchange, index: number, reply: Reply | void, round: Round): boolean {
    if (!(reply instanceof Reply)) {
      if (exchange.consumer === null) return false
      round.chosen = index
      exchange.pendingFailures = null
      const { unread } = this.#asked[index]!
      for (const place of unread) if (place.count(exchange) > 0) place.strip(exchange)
      return true
    }
    exchange.consumer = null
    exchange.authentication = null
    round.replies ??= []
    round.replies.push(reply)
    if (reply.status < 400) {
      if (round.offer !== null) return false
      round.offer = reply
      round.offeredBy = index
    } else if (round.refusal === null && !this.#isAbsence(exchange, index, reply)) {
      round.refusal = reply
      round.refusedBy = index
    }
    return false
  }

  /** Whether the reply says that there is no credential; one from elsewhere does not say so itself. */
  #isAbsence(exchange: Exchange, index: number, { code, status }: Reply): boolean {
    if (code !== null) return ABSENT.has(code)
    if (status !== 401) return false
    return this.#asked[index]!.all.every((place) => place.count(exchange) === 0)
  }

  #refuse(exchange: Exchange, round: Round): Reply {
    for (const count of exchange.pendingFailures ?? []) count()
    exchange.pendingFailures = null
    const { refusal, offer } = round
    if (refusal !== null) {
      round.chosen = round.refusedBy
      return refusal.status === 401 ? this.#withChallenges(refusal, round.replies ?? []) : refusal
    }
    if (offer !== null) {
      round.chosen = round.offeredBy
      return offer
    }
    return this.#required(round.replies ?? [])
  }

  /** Nobody found a credential. */
  #required(replies: readonly Reply[]): Reply {
    const before = this.#combined
    const isSame =
      before !== null &&
      before.replies.length === replies.length &&
      before.replies.every((reply, index) => reply === replies[index])
    if (isSame) return before.reply
    const reply = this.#withChallenges(
      this.#environment.problem('authentication_required'),
      replies,
    )
    this.#combined = { replies, reply }
    return reply
  }

  #withChallenges(reply: Reply, others: readonly Reply[]): Reply {
    const lines = new Set(others.flatMap(challengeLines))
    for (const line of challengeLines(reply)) lines.delete(line)
    const { status, fieldLines, body, code } = reply
    return new Reply(status, fieldLines + [...lines].join(''), body, code)
  }

  #chosen(exchange: Exchange): PolicyHooks | undefined {
    const round = exchange.slots[this.#slot]
    return round instanceof Round ? this.#asked[round.chosen]?.hooks : undefined
  }

  #finish(exchange: Exchange): void {
    const round = exchange.slots[this.#slot]
    if (!(round instanceof Round)) return
    for (let index = this.#asked.length - 1; index >= 0; index--) {
      if ((round.asked & (1 << index)) !== 0) this.#asked[index]!.hooks.onFinish?.(exchange)
    }
  }
}

/** Where a policy with these settings reads credentials. */
export function credentialPlaces({ definition, settings }: Alternative): readonly string[] {
  return definition.credentialPlaces?.(settings) ?? ['header:authorization']
}

/** Lines of `WWW-Authenticate`, each with its CRLF. */
function challengeLines({ fieldLines }: Reply): string[] {
  return fieldLines
    .split(/(?<=\r\n)/)
    .filter((line) => line.toLowerCase().startsWith('www-authenticate:'))
}

/** The environment of an alternative: its stage bears its name, and it keeps things of its own. */
function nested(name: string, environment: PolicyEnvironment): PolicyEnvironment {
  const { keep } = environment
  return Object.create(environment, {
    stage: { value: { id: `${environment.stage.id}/${name}` }, enumerable: true },
    keep: { value: (key: string, make: () => never) => keep(`${name} ${key}`, make) },
  }) as PolicyEnvironment
}
