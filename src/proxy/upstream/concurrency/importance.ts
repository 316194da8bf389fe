// How much a request matters beside others when not all can be served.

/** From the first to go to the last. */
export const IMPORTANCES = ['low', 'normal', 'high', 'critical'] as const

/** A name of how much a request matters. */
export type ImportanceName = (typeof IMPORTANCES)[number]

/** By name: the greater is served first and refused last. */
export const Importance = { low: 0, normal: 1, high: 2, critical: 3 } as const satisfies Record<
  ImportanceName,
  number
>
