import type { Measured } from './fault-run.ts'
import { type Figure, worst } from './figure.ts'

/** One figure of one gateway, the worse of its runs, and whether it is what was asked for. */
export interface Cell {
  readonly figure: Figure | undefined
  /** Undefined: not judged. */
  readonly ok: boolean | undefined
}

/** One line of the report. */
export interface Line {
  readonly row: string
  readonly what: string
  readonly asked: string
  /** By name of the gateway. A gateway that failed has a cell without a figure; one that was not run has none. */
  readonly cells: ReadonlyMap<string, Cell>
}

/** Brings the runs of all gateways together, figure by figure. */
export function judge(measured: readonly Measured[]): readonly Line[] {
  const lines = new Map<string, { figures: Map<string, Figure[]>; first: Figure }>()
  for (const { gateway, runs } of measured) {
    for (const figure of runs.flat()) {
      const line = lines.get(figure.what) ?? { figures: new Map<string, Figure[]>(), first: figure }
      line.figures.set(gateway.name, [...(line.figures.get(gateway.name) ?? []), figure])
      lines.set(figure.what, line)
    }
  }
  return [...lines].map(([what, { figures, first }]) => {
    const nginx = worst(figures.get('nginx') ?? [])?.value
    const cells = new Map<string, Cell>()
    for (const [name, each] of figures) {
      const figure = worst(each)!
      cells.set(name, { figure, ok: verdictOf(figure, nginx) })
    }
    return { row: first.row, what, asked: first.asked?.text ?? '', cells }
  })
}

function verdictOf({ asked, value }: Figure, nginx: number | undefined): boolean | undefined {
  if (asked === undefined || (asked.needsNginx === true && nginx === undefined)) return undefined
  return asked.holds(value, nginx)
}
