import type { Target } from '@postern/contracts'
import type { ResolvedHealth } from './options.ts'
import { type ProbeResult, probe } from './probe.ts'

/** Who is probed, and who is told. */
export interface Probed {
  readonly target: Target
  readonly health: {
    /** True while something should be found out soon. */
    readonly doubtful: boolean
  }
}

interface Patient {
  timer: NodeJS.Timeout | undefined
  /** True when the next probe comes as soon as it may. */
  hastened: boolean
  /** The probe under way; never two at a time. */
  running: Promise<ProbeResult> | undefined
  readonly abort: AbortController
}

/**
 * Probes members from time to time, each at its own pace. The only part of health that has timers: they and the probes'
 * sockets keep no process alive.
 */
export class Prober<Member extends Probed> {
  readonly options: ResolvedHealth
  readonly #random: () => number
  readonly #onResult: (member: Member, result: ProbeResult) => void
  readonly #patients = new Map<Member, Patient>()
  #started = false
  #closed = false

  constructor(options: ResolvedHealth, random: () => number, onResult: (member: Member, result: ProbeResult) => void) {
    this.options = options
    this.#random = random
    this.#onResult = onResult
  }

  get started(): boolean {
    return this.#started
  }

  /** Begins, each member at a moment of its own within the first interval: instances never probe in step. */
  start(): void {
    if (this.#started || this.#closed) return
    this.#started = true
    for (const [member, patient] of this.#patients) this.#begin(member, patient)
  }

  /** Goes on for ever with those that stay, begins with those that are new, and ends with the others. */
  replace(members: Iterable<Member>): void {
    const left = new Set(this.#patients.keys())
    for (const member of members) {
      if (left.delete(member) || this.#closed) continue
      const patient: Patient = { timer: undefined, hastened: false, running: undefined, abort: new AbortController() }
      this.#patients.set(member, patient)
      if (this.#started) this.#begin(member, patient)
    }
    for (const member of left) this.#end(member)
  }

  /** Probes the member soon, as it is out for another reason: nothing but a probe may tell that it is back. */
  hasten(member: Member): void {
    const patient = this.#patients.get(member)
    if (patient?.timer === undefined || patient.hastened) return
    this.#schedule(member, patient)
  }

  /** Probes the member now; takes the probe that is under way, when there is one. */
  async check(member: Member): Promise<ProbeResult> {
    const patient = this.#patients.get(member)
    // Closed, or it has left: asked once all the same, and nothing follows from it.
    if (patient === undefined) return probe(member.target, this.options, new AbortController().signal)
    return this.#probe(member, patient)
  }

  close(): void {
    this.#closed = true
    for (const member of this.#patients.keys()) this.#end(member)
  }

  #begin(member: Member, patient: Patient): void {
    this.#wait(member, patient, this.options.intervalMs * this.#random())
  }

  #schedule(member: Member, patient: Patient): void {
    const { intervalMs, unhealthyIntervalMs, jitter } = this.options
    patient.hastened = member.health.doubtful
    // The shorter time is a promise of how soon a target is back: it is kept, or undercut.
    const delayMs = patient.hastened
      ? unhealthyIntervalMs * (1 - jitter * this.#random())
      : intervalMs * (1 + jitter * (2 * this.#random() - 1))
    this.#wait(member, patient, delayMs)
  }

  #wait(member: Member, patient: Patient, delayMs: number): void {
    clearTimeout(patient.timer)
    patient.timer = setTimeout(() => void this.#probe(member, patient), Math.min(delayMs, 2 ** 31 - 1)).unref()
  }

  #probe(member: Member, patient: Patient): Promise<ProbeResult> {
    clearTimeout(patient.timer)
    patient.timer = undefined
    patient.running ??= this.#run(member, patient)
    return patient.running
  }

  async #run(member: Member, patient: Patient): Promise<ProbeResult> {
    const result = await probe(member.target, this.options, patient.abort.signal)
    patient.running = undefined
    if (patient.abort.signal.aborted) return result
    this.#onResult(member, result)
    // Told of it, a listener may have taken the member out.
    if (this.#started && this.#patients.get(member) === patient) this.#schedule(member, patient)
    return result
  }

  #end(member: Member): void {
    const patient = this.#patients.get(member)
    if (patient === undefined) return
    this.#patients.delete(member)
    clearTimeout(patient.timer)
    patient.abort.abort()
  }
}
