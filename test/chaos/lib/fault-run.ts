import type { Row } from '../rows/row.ts'
import type { Figure } from './figure.ts'
import type { Gateway } from './gateways.ts'
import { Rig } from './rig.ts'

/** Longest time of one row with one gateway; then its processes are killed and the row has failed. */
const ROW_MS = 90_000

/** The figures of every run of one row with one gateway. */
export interface Measured {
  readonly row: Row
  readonly gateway: Gateway
  readonly runs: readonly (readonly Figure[])[]
  /** Why a run gave no figures. */
  readonly failure?: string
}

/** Every row with every gateway that has its setting, run after run, so that all of them see the same hour. */
export async function faultRun(
  rows: readonly Row[],
  gateways: readonly Gateway[],
  only: RegExp,
  runs: number,
  print: (line: string) => void,
): Promise<readonly Measured[]> {
  const pairs = rows.flatMap((row) =>
    gateways
      .filter(
        ({ name, settings }) => only.test(`${row.name}/${name}`) && settings[row.setting ?? 'default'] !== undefined,
      )
      .map((gateway) => ({
        row,
        gateway,
        runs: [] as (readonly Figure[])[],
        failure: undefined as string | undefined,
      })),
  )
  for (let run = 0; run < runs; run += 1) {
    for (const pair of pairs) {
      const label = `${run + 1}/${runs} ${pair.row.name}/${pair.gateway.name}`
      if (pair.failure !== undefined) continue
      try {
        const figures = await runOnce(pair.row, pair.gateway)
        pair.runs.push(figures)
        print(`${label}: ${figures.map(({ what, text }) => `${what.replace(/^[^:]*: /, '')} ${text}`).join('; ')}`)
      } catch (error) {
        pair.failure = (error as Error).message
        print(`${label}: FAILED: ${pair.failure}`)
      }
    }
  }
  return pairs.map(({ failure, ...rest }) => (failure === undefined ? rest : { ...rest, failure }))
}

async function runOnce(row: Row, gateway: Gateway): Promise<readonly Figure[]> {
  const rig = await Rig.start(gateway, row.setting ?? 'default', row.behaviours)
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ROW_MS / 1_000} s`)), ROW_MS)
  })
  try {
    return await Promise.race([row.run(rig), tooLong])
  } finally {
    clearTimeout(timer)
    await rig.stop()
  }
}
