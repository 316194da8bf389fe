// The text exposition format of Prometheus, version 0.0.4.
import { METRICS_SHAPES } from '../gateway-metrics.ts'
import type { MetricsEntry, MetricsReader } from '../metrics.ts'
import type { MetricsShape, PlacedFamily } from '../metrics-shape.ts'

/** A family that is not counted but read when it is asked for: connections open, endpoints healthy. */
export interface CollectedFamily {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: readonly {
    readonly labels: Readonly<Record<string, string>>
    readonly value: number
  }[]
}

/** Everything that was counted in all threads, then what the caller collected. */
export function prometheusText(
  reader: MetricsReader,
  collected: readonly CollectedFamily[] = [],
): string {
  let text = ''
  for (const shape of METRICS_SHAPES) text += shapeText(reader, shape)
  const refused = { labels: {}, value: reader.refused }
  return text + [seriesRefused(refused), ...collected].map(collectedText).join('')
}

function seriesRefused(sample: CollectedFamily['samples'][number]): CollectedFamily {
  return {
    name: 'gatehouse_metrics_refused_total',
    help: 'Times that a name had no room among the metrics and was counted as `other`.',
    type: 'counter',
    samples: [sample],
  }
}

/** A block with the text of its labels: `route="orders"`. */
interface LabelledEntry extends MetricsEntry {
  readonly text: string
}

function shapeText(reader: MetricsReader, shape: MetricsShape): string {
  const entries = reader
    .entries(shape)
    .filter((entry) => !shape.isSparse || hasCounted(reader, shape, entry))
    .map((entry) => ({ ...entry, text: entryLabels(shape, entry) }))
  if (entries.length === 0) return ''
  let text = ''
  for (const family of shape.families) {
    text += header(family)
    text +=
      family.type === 'histogram'
        ? histogramText(reader, family, entries)
        : cellsText(reader, family, entries)
  }
  return text
}

function hasCounted(reader: MetricsReader, shape: MetricsShape, { start }: MetricsEntry): boolean {
  for (let cell = 0; cell < shape.cellCount; cell++) {
    if (reader.sum(start + cell) !== 0) return true
  }
  return false
}

function entryLabels(shape: MetricsShape, { labels }: MetricsEntry): string {
  return shape.labels.map((name, index) => label(name, labels[index]!)).join(',')
}

function cellsText(
  reader: MetricsReader,
  family: PlacedFamily,
  entries: readonly LabelledEntry[],
): string {
  const { name, values, isSparse = false } = family
  const valueLabels = values?.map((value) => label(family.label!, value)) ?? ['']
  let text = ''
  for (const { start, text: labels } of entries) {
    for (let index = 0; index < valueLabels.length; index++) {
      const count = reader.sum(start + family.offset + index)
      if (count !== 0 || !isSparse) text += sample(name, joined(labels, valueLabels[index]!), count)
    }
  }
  return text
}

/** Buckets hold what is in them alone; here each includes those below it. */
function histogramText(
  reader: MetricsReader,
  { name, offset, bounds = [] }: PlacedFamily,
  entries: readonly LabelledEntry[],
): string {
  const bucketLabels = [...bounds.map(String), '+Inf'].map((bound) => label('le', bound))
  let text = ''
  for (const { start, text: labels } of entries) {
    const first = start + offset
    let count = 0
    for (let bucket = 0; bucket <= bounds.length; bucket++) {
      count += reader.sum(first + bucket)
      text += sample(`${name}_bucket`, joined(labels, bucketLabels[bucket]!), count)
    }
    text += sample(`${name}_sum`, labels, reader.sum(first + bounds.length + 1))
    text += sample(`${name}_count`, labels, count)
  }
  return text
}

function collectedText(family: CollectedFamily): string {
  let text = header(family)
  for (const { labels, value } of family.samples) {
    const labelText = Object.entries(labels).map((entry) => label(...entry))
    text += sample(family.name, labelText.join(','), value)
  }
  return text
}

function header({ name, help, type }: Pick<PlacedFamily, 'name' | 'help' | 'type'>): string {
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return `# HELP ${name} ${escaped}\n# TYPE ${name} ${type}\n`
}

function sample(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${value}\n` : `${name}{${labels}} ${value}\n`
}

function label(name: string, value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  return `${name}="${escaped}"`
}

function joined(labels: string, last: string): string {
  if (labels === '' || last === '') return labels + last
  return `${labels},${last}`
}
