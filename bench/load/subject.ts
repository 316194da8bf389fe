// What the benchmark compares: programs that proxy to one upstream. A subject says how it is started
// for a scenario; everything else is the same for all.

/** The ways in which a subject is set up and loaded. */
export type ScenarioName =
  | 'small-json'
  | 'policies'
  | 'shop-chain'
  | 'routes'
  | 'post-16kb'
  | 'tls'
  | 'stream-1gb'
  | 'offered-load'

/** What a subject is set up for. */
export interface Setup {
  readonly scenario: ScenarioName
  /** A folder of its own for configuration and logs. */
  readonly folder: string
  readonly port: number
  readonly upstreamPort: number
  /** Worker threads or processes. */
  readonly threads: number
  /** PEM files of a certificate for localhost; `both` is the key after the certificate. */
  readonly tls: { readonly certificate: string; readonly key: string; readonly both: string }
}

/** How to start a program. Its output goes to `output.log` in the folder. */
export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** A program under test. */
export interface Subject {
  readonly name: string
  /** How many routes it has in the scenario `routes`; those are all requested. */
  readonly routes?: number
  readonly scenarios: readonly ScenarioName[]
  /** Its version, or null if this machine does not have it. */
  version(): string | null
  /** Writes what it needs into the folder and says how to start it. */
  prepare(setup: Setup): Command
}
