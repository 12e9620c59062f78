import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  checkAccounts,
  describeOutcomes,
  dueWithin,
  executedTwice,
  latencyOf,
  lost,
  parseExecutions,
  percentile,
  sharePerSecond,
} from './lib/accounting.ts'
import { faultRun } from './lib/fault-run.ts'
import { atMost, count, type Figure, worst } from './lib/figure.ts'
import { GATEWAYS } from './lib/gateways.ts'
import { runLoad, schedule } from './lib/open-loop.ts'
import type { LoadOrder, RequestRecord } from './lib/protocol.ts'
import { isHealthy, NORMAL, Upstreams } from './lib/upstreams.ts'
import { judge } from './lib/verdict.ts'
import { sleep, wallMs } from './lib/wall-clock.ts'
import { Work } from './lib/work.ts'
import type { Row } from './rows/row.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A server of the test's own; its port. */
async function listen(handler: (req: IncomingMessage, res: ServerResponse) => void): Promise<number> {
  const server: Server = createServer(handler)
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

async function startUpstreams(count: number): Promise<Upstreams> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-chaos-test-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const upstreams = await Upstreams.start(
    folder,
    Array.from({ length: count }, () => NORMAL),
  )
  cleanups.push(() => upstreams.stop())
  return upstreams
}

function order(port: number, given: Partial<LoadOrder> = {}): LoadOrder {
  const phases = [{ perSecond: 100, ms: 200 }]
  return {
    port,
    startAtMs: wallMs() + 20,
    phases,
    firstNumber: 1,
    timeoutMs: 2_000,
    retries: 0,
    retryPauseMs: 5,
    ...given,
  }
}

function numberOf(req: IncomingMessage): number {
  return Number(req.url!.slice(req.url!.lastIndexOf('/') + 1))
}

function record(given: Partial<RequestRecord>): RequestRecord {
  return {
    number: 1,
    method: 'GET',
    dueAtMs: 0,
    sentAtMs: 0,
    doneAtMs: 1,
    outcome: 'ok',
    retryAfter: false,
    tries: 1,
    ...given,
  }
}

describe('open loop', () => {
  test('requests are due at their rate, phase after phase, every fifth a POST', () => {
    const due = schedule(
      order(0, {
        startAtMs: 1_000,
        firstNumber: 7,
        phases: [
          { perSecond: 10, ms: 500 },
          { perSecond: 4, ms: 500 },
        ],
      }),
    )
    expect(due.map((each) => each.dueAtMs)).toEqual([1_000, 1_100, 1_200, 1_300, 1_400, 1_500, 1_750])
    expect(due.map((each) => each.number)).toEqual([7, 8, 9, 10, 11, 12, 13])
    expect(due.map((each) => each.method)).toEqual(['GET', 'GET', 'GET', 'GET', 'POST', 'GET', 'GET'])
  })

  test('a server that answers nobody delays no request, and its stall is in the latencies', async () => {
    const held: (() => void)[] = []
    const port = await listen((req, res) => {
      held.push(() => res.end(JSON.stringify({ number: numberOf(req) })))
      if (held.length === 20) for (const answer of held) answer()
    })
    const records = await runLoad(order(port))
    expect(describeOutcomes(records)).toBe('ok × 20')
    // None could be answered before the last one was due, 190 ms after the first.
    expect(latencyOf(records[0]!)).toBeGreaterThanOrEqual(190)
    expect(latencyOf(records[19]!)).toBeLessThan(latencyOf(records[0]!))
    for (const each of records) expect(each.sentAtMs).toBeGreaterThanOrEqual(each.dueAtMs)
  })

  test('tells every way of failing apart', async () => {
    const answers: ((res: ServerResponse, number: number) => void)[] = [
      (res, number) => res.end(JSON.stringify({ number })),
      (res) => res.writeHead(503, { 'retry-after': '1' }).end(),
      (res) => res.writeHead(504).end(),
      (res) => res.end(JSON.stringify({ number: 99 })),
      (res) => void res.socket!.resetAndDestroy(),
      (res) => {
        res.writeHead(200, { 'content-length': 100 })
        res.write('{"number":')
        setTimeout(() => res.destroy(), 20)
      },
      () => {},
    ]
    const port = await listen((req, res) => {
      req.resume()
      answers[numberOf(req)]!(res, numberOf(req))
    })
    const phases = [{ perSecond: 70, ms: 100 }]
    const records = await runLoad(order(port, { phases, firstNumber: 0, timeoutMs: 300 }))
    expect(records.map((each) => each.outcome)).toEqual([
      'ok',
      '503',
      '504',
      'wrong body',
      'ECONNRESET',
      'cut',
      'timeout',
    ])
    expect(records.map((each) => each.retryAfter)).toEqual([false, true, false, false, false, false, false])
  })

  test('a refused connection is an outcome, too', async () => {
    const upstreams = await startUpstreams(1)
    await upstreams.end(0, 'SIGKILL')
    const records = await runLoad(order(upstreams.ports[0]!, { phases: [{ perSecond: 50, ms: 100 }] }))
    expect(describeOutcomes(records)).toBe('ECONNREFUSED × 5')
  })

  test('asks again only when it is told to, and its patience is that of the first moment', async () => {
    const seen = new Map<number, number>()
    const port = await listen((req, res) => {
      req.resume()
      const number = numberOf(req)
      const times = (seen.get(number) ?? 0) + 1
      seen.set(number, times)
      if (times < 3) res.writeHead(503).end()
      else res.end(JSON.stringify({ number }))
    })
    const once = await runLoad(order(port, { firstNumber: 1 }))
    expect(describeOutcomes(once)).toBe('503 × 20')
    expect(new Set(once.map((each) => each.tries))).toEqual(new Set([1]))
    const thrice = await runLoad(order(port, { firstNumber: 100, retries: 2 }))
    expect(describeOutcomes(thrice)).toBe('ok × 20')
    for (const each of thrice) {
      expect(each.tries).toBe(3)
      // Two pauses of 5 ms belong to what the client waited.
      expect(latencyOf(each)).toBeGreaterThanOrEqual(9)
    }
  })
})

describe('executions', () => {
  /** A gateway that does what it must not: `faults` may have a request sent twice, not at all, or answered without. */
  async function badGateway(target: number, fault: (req: IncomingMessage) => 'twice' | 'drop' | 'invent' | 'none') {
    return listen((req, res) => {
      const what = fault(req)
      req.resume()
      if (what === 'drop') return void res.destroy()
      if (what === 'invent') return void res.end(JSON.stringify({ number: numberOf(req) }))
      const forward = (): Promise<string> =>
        new Promise((resolve, reject) => {
          const out = request(
            { host: '127.0.0.1', port: target, path: req.url, method: req.method },
            async (answer) => {
              answer.setEncoding('utf8')
              let text = ''
              for await (const chunk of answer) text += chunk
              resolve(text)
            },
          )
          out.on('error', reject)
          out.end()
        })
      void Promise.all(what === 'twice' ? [forward(), forward()] : [forward()]).then(([text]) => res.end(text))
    })
  }

  test('a POST that was sent twice is found, and which', async () => {
    const upstreams = await startUpstreams(1)
    const port = await badGateway(upstreams.ports[0]!, (req) => (numberOf(req) === 10 ? 'twice' : 'none'))
    const records = await runLoad(order(port))
    await upstreams.quiet()
    const executions = upstreams.executions()
    expect(executions).toHaveLength(21)
    expect(executedTwice(records, executions, 'POST')).toEqual([10])
    expect(executedTwice(records, executions, 'GET')).toEqual([])
    expect(() => checkAccounts(records, executions, 20, 1_000)).not.toThrow()
  })

  test('lost requests are found by method, executed or not', async () => {
    const upstreams = await startUpstreams(1)
    const port = await badGateway(upstreams.ports[0]!, (req) => (numberOf(req) % 10 < 2 ? 'drop' : 'none'))
    const records = await runLoad(order(port))
    await upstreams.quiet()
    expect(lost(records).map((each) => each.number)).toEqual([1, 10, 11, 20])
    expect(lost(records, 'GET').map((each) => each.number)).toEqual([1, 11])
    expect(lost(records, 'POST').map((each) => each.number)).toEqual([10, 20])
    expect(upstreams.executions()).toHaveLength(16)
  })

  test('an answer that no upstream has given makes the accounts fail', async () => {
    const upstreams = await startUpstreams(1)
    const port = await badGateway(upstreams.ports[0]!, (req) => (numberOf(req) === 3 ? 'invent' : 'none'))
    const records = await runLoad(order(port))
    await upstreams.quiet()
    expect(() => checkAccounts(records, upstreams.executions(), 20, 1_000)).toThrow('answered but never executed (3)')
  })

  test('what was executed before a SIGKILL stays known, and the restarted process counts on', async () => {
    const upstreams = await startUpstreams(2)
    const port = upstreams.ports[1]!
    const first = await runLoad(order(port, { phases: [{ perSecond: 50, ms: 100 }] }))
    await upstreams.end(1, 'SIGKILL')
    const healthyAtMs = await upstreams.restart(1)
    const second = await runLoad(order(port, { firstNumber: 6, phases: [{ perSecond: 50, ms: 100 }] }))
    expect(lost([...first, ...second])).toEqual([])
    const executions = upstreams.executions()
    expect(executions.map((each) => [each.number, each.upstream, each.incarnation])).toEqual([
      ...[1, 2, 3, 4, 5].map((number) => [number, 1, 1]),
      ...[6, 7, 8, 9, 10].map((number) => [number, 1, 2]),
    ])
    for (const { incarnation, atMs } of executions) expect(atMs > healthyAtMs).toBe(incarnation === 2)
  })

  test('a draining upstream answers what is under way and is gone', async () => {
    const upstreams = await startUpstreams(1)
    await upstreams.behave(0, { latencyMs: 200 })
    const load = runLoad(order(upstreams.ports[0]!, { phases: [{ perSecond: 100, ms: 30 }] }))
    while ((await upstreams.state()).pending < 3) await sleep(5)
    await upstreams.end(0, 'SIGTERM')
    expect(describeOutcomes(await load)).toBe('ok × 3')
    expect(await isHealthy(upstreams.ports[0]!)).toBe(false)
  })

  test('a line that was cut short is no execution', () => {
    expect(parseExecutions('1 GET 1000.25\n2 POST 1001.50\n3 PO', 2, 1)).toEqual([
      { number: 1, method: 'GET', atMs: 1_000.25, upstream: 2, incarnation: 1 },
      { number: 2, method: 'POST', atMs: 1_001.5, upstream: 2, incarnation: 1 },
    ])
  })
})

describe('work of an upstream', () => {
  test('is done by as many at a time as there are workers, in order', async () => {
    const work = new Work(10, 2)
    const startedAt = performance.now()
    const finished: number[] = []
    let busy = 0
    await new Promise<void>((resolve) => {
      for (let number = 0; number < 10; number += 1) {
        work.add({
          abandoned: () => false,
          started: () => expect((busy += 1)).toBeLessThanOrEqual(2),
          finished: () => {
            busy -= 1
            finished.push(number)
            if (finished.length === 10) resolve()
          },
        })
      }
    })
    expect(finished).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(45)
  })

  test('is not begun for a client that has left', async () => {
    const work = new Work(5, 1)
    const started: number[] = []
    await new Promise<void>((resolve) => {
      for (let number = 0; number < 4; number += 1) {
        work.add({
          abandoned: () => number === 1 || number === 2,
          started: () => started.push(number),
          finished: () => number === 3 && resolve(),
        })
      }
    })
    expect(started).toEqual([0, 3])
  })
})

describe('figures', () => {
  test('a request that is missing, told twice, or sent late makes the accounts fail', () => {
    const executions = [1, 2].map((number) => ({ number, method: 'GET', atMs: 0, upstream: 0, incarnation: 1 }))
    const [one, two] = [record({ number: 1 }), record({ number: 2 })]
    expect(() => checkAccounts([one, two], executions, 2, 10)).not.toThrow()
    expect(() => checkAccounts([one], executions, 2, 10)).toThrow('2 requests were due, 1 are told')
    expect(() => checkAccounts([one, one], executions, 2, 10)).toThrow('2 are told (1 different)')
    expect(() => checkAccounts([one, record({ number: 2, sentAtMs: 50 })], executions, 2, 10)).toThrow('50 ms late')
  })

  test('percentiles are values that were measured', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)]).toEqual([50, 99, 100])
    expect(percentile([7], 0.99)).toBe(7)
    expect(percentile([], 0.5)).toBeNaN()
  })

  test('a window and its seconds hold what was due in them, whenever it was answered', () => {
    const records = [
      record({ dueAtMs: 999, doneAtMs: 1_001 }),
      record({ dueAtMs: 1_000, doneAtMs: 1_010 }),
      record({ dueAtMs: 1_500, doneAtMs: 3_000 }),
      record({ dueAtMs: 2_000, doneAtMs: 2_001, outcome: '503' }),
      record({ dueAtMs: 2_999, doneAtMs: 3_000 }),
    ]
    expect(dueWithin(records, 1_000, 2_000)).toHaveLength(2)
    expect(sharePerSecond(records, 1_000, 2)).toEqual([1, 0.5])
    expect(sharePerSecond(records, 1_000, 2, 1_000)).toEqual([0.5, 0.5])
  })

  test('the worse run is reported, and one without a value is the worst', () => {
    const figure = (value: number, worse?: 'less'): Figure => ({
      row: '1',
      what: 'x',
      value,
      text: String(value),
      ...(worse === undefined ? {} : { worse }),
    })
    expect(worst([figure(1), figure(3), figure(2)])?.value).toBe(3)
    expect(worst([figure(0.9, 'less'), figure(0.4, 'less')])?.value).toBe(0.4)
    expect(worst([figure(1), figure(Number.NaN), figure(2)])?.value).toBeNaN()
    expect(worst([figure(1, 'less'), figure(Number.NaN, 'less'), figure(0, 'less')])?.value).toBeNaN()
    expect(worst([])).toBeUndefined()
  })

  test('a whole run of Postern counts every request, and its figures are judged', async () => {
    const tiny: Row = {
      name: 'tiny',
      does: 'Half a second.',
      async run(rig) {
        const { records, executions } = await rig.drive({ phases: [{ perSecond: 40, ms: 500 }] })
        return [
          count('1', 'tiny: lost', lost(records).length, atMost(0, '0')),
          count('1', 'tiny: executed', executions.length, atMost(19)),
        ]
      },
    }
    const gateways = GATEWAYS.filter(({ name }) => name === 'postern')
    const printed: string[] = []
    const measured = await faultRun([tiny], gateways, /tiny/, 1, (line) => printed.push(line))
    expect(printed).toEqual(['1/1 tiny/postern: lost 0; executed 20'])
    const verdicts = judge(measured).map(({ what, asked, cells }) => [what, asked, cells.get('postern')?.ok])
    expect(verdicts).toEqual([
      ['tiny: lost', '0', true],
      ['tiny: executed', '<= 19', false],
    ])
  })
})
