/**
 * Times how long schemes take to refuse guesses of several kinds, in random order within one process: what slows the machine
 * down falls on all kinds alike.
 */
import { randomBytes, randomInt, scryptSync } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { type ApiKeyRecord, apiKey, basic, generateApiKey, hashApiKey, type Scheme } from '@postern/auth'
import type { TimingOrder, TimingResult, TimingSubject } from '../lib/protocol.ts'
import { type Moments, momentsOf } from '../lib/stats.ts'

/** Sets of guesses of the first kind. */
const REFERENCES = 4
/** Each with keys, users and guesses of its own: one table has its quirks. */
const ROUNDS = 20
const KEYS = 1_000
/** In each set. */
const USERS = 16
/** In each set: as many as a last character can be. */
const GUESSES = 64
/** The slowest are left out, of all kinds by the same measure: it is collections of garbage and other processes that make them slow. */
const KEPT = 0.9

/** Sets of guesses, by kind; the first {@link REFERENCES} are of the same kind. */
interface Sets {
  readonly guesses: readonly (readonly string[])[]
  refuse(guess: string): unknown
}

interface Subject {
  /** Kinds of guesses beside the first. */
  readonly kinds: readonly string[]
  readonly warmup: number
  /** Of each set, in each round. */
  readonly samples: number
  setsOf(): Sets | Promise<Sets>
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.~'
const request = new IncomingMessage(new Socket())

const USER_KINDS = ['a user who came in before', 'a name that nobody has']

const KEY_SUBJECT = {
  kinds: ['half of its characters right', 'all but the last right'],
  warmup: 5_000,
  samples: 8_000,
}

const SUBJECTS: Readonly<Record<TimingSubject, Subject>> = {
  'api-key': {
    ...KEY_SUBJECT,
    setsOf() {
      const { good, scheme } = keyTable()
      return { guesses: keyGuesses(good), refuse: (guess) => ask(scheme, guess) }
    },
  },
  leaky: {
    ...KEY_SUBJECT,
    setsOf() {
      const { good, scheme } = keyTable()
      const refuse = (guess: string): unknown => (sameUpTo(good, guess) === good.length ? 0 : ask(scheme, guess))
      return { guesses: keyGuesses(good), refuse }
    },
  },
  basic: { kinds: USER_KINDS, warmup: 100, samples: 800, setsOf: userGuesses },
}

/** What `authenticate()` does with credentials that it finds. */
function ask(scheme: Scheme, credentials: string): unknown {
  return scheme.recall(credentials, request) ?? scheme.verify(credentials, request)
}

function keyTable(): { readonly good: string; readonly scheme: Scheme } {
  const keys = Array.from({ length: KEYS }, () => generateApiKey().key)
  const records = keys.map((key, i): ApiKeyRecord => ({ id: `key-${i}`, hash: hashApiKey(key), subject: `user-${i}` }))
  return { good: keys[KEYS >> 1]!, scheme: apiKey({ keys: records }).scheme }
}

function keyGuesses(good: string): readonly (readonly string[])[] {
  const right = [...Array.from({ length: REFERENCES }, () => 0), good.length >> 1, good.length - 1]
  return mixed(right.length, GUESSES, (set, i) => guessOf(good, right[set]!, i))
}

/** Sets of guesses, made in random order: what is made first lies elsewhere in memory, which shows in the time. */
function mixed(
  sets: number,
  size: number,
  make: (set: number, index: number) => string,
): readonly (readonly string[])[] {
  const made = Array.from({ length: sets }, () => new Array<string>(size).fill(''))
  for (const at of shuffled(Array.from({ length: sets * size }, (_, i) => i))) {
    const [set, index] = [Math.floor(at / size), at % size]
    made[set]![index] = make(set, index)
  }
  return made
}

/** A key of the same length, of which so many characters are right, and the next one is not. */
function guessOf(good: string, right: number, index: number): string {
  const others = ALPHABET.replace(good[right]!, '')
  const rest = Array.from({ length: good.length - right - 1 }, () => ALPHABET[randomInt(ALPHABET.length)])
  // As it comes from a socket: one flat text.
  const guess = `${good.slice(0, right)}${others[index % others.length]}${rest.join('')}`
  return Buffer.from(guess, 'latin1').toString('latin1')
}

/** The comparison that must not be: it tells by its time how much of a guess is right. */
function sameUpTo(good: string, guess: string): number {
  let at = 0
  while (at < good.length && good.charCodeAt(at) === guess.charCodeAt(at)) at += 1
  return at
}

/** A table of users whose hashes take little time, so that whatever else differs would show beside it. */
async function userGuesses(): Promise<Sets> {
  const sets = REFERENCES + USER_KINDS.length
  const names = Array.from({ length: sets * USERS }, (_, i) => `user-${randomBytes(4).toString('hex')}-${100 + i}`)
  const namesOf = (set: number): readonly string[] => names.slice(set * USERS, (set + 1) * USERS)
  const strangers = namesOf(sets - 1)
  const passwords = new Map(names.map((name) => [name, randomBytes(12).toString('hex')]))
  const known = shuffled(names.filter((name) => !strangers.includes(name)))
  const users = Object.fromEntries(known.map((name) => [name, scryptHash(passwords.get(name)!)]))
  const { scheme } = basic({ users })
  for (const name of namesOf(REFERENCES)) await ask(scheme, credentialsOf(name, passwords.get(name)!))
  const wrong = (name: string): string => credentialsOf(name, randomBytes(12).toString('hex'))
  return {
    guesses: mixed(sets, USERS, (set, i) => wrong(namesOf(set)[i]!)),
    refuse: (guess) => ask(scheme, guess),
  }
}

function credentialsOf(name: string, password: string): string {
  return Buffer.from(`${name}:${password}`, 'latin1').toString('base64')
}

function scryptHash(password: string): string {
  const salt = randomBytes(16)
  const digest = scryptSync(password, salt, 32, { N: 32, r: 8, p: 1 })
  const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')
  return `$scrypt$ln=5,r=8,p=1$${base64(salt)}$${base64(digest)}`
}

async function time({ kinds, warmup, samples, setsOf }: Subject): Promise<TimingResult> {
  const sets = REFERENCES + kinds.length
  const order = Array.from({ length: sets }, (_, set) => set)
  const taken = Array.from({ length: sets }, () => new Float64Array(ROUNDS * samples))
  let at = 0
  const one = async ({ guesses, refuse }: Sets, set: number, turn: number): Promise<number> => {
    const guess = guesses[set]![turn % guesses[set]!.length]!
    const startedAt = performance.now()
    const verdict = refuse(guess)
    if (!(verdict instanceof Promise)) {
      const nanos = (performance.now() - startedAt) * 1e6
      expectRefusal(verdict)
      return nanos
    }
    const later: unknown = await verdict
    const nanos = (performance.now() - startedAt) * 1e6
    expectRefusal(later)
    return nanos
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const made = await setsOf()
    for (let turn = 0; turn < warmup; turn += 1) await one(made, turn % sets, turn)
    for (let turn = 0; turn < samples; turn += 1) {
      // Another order each time, so that none always runs behind the same one.
      for (const set of shuffled(order)) taken[set]![at] = await one(made, set, turn)
      at += 1
    }
  }
  const limit = quantile(taken, KEPT)
  const moments = taken.map((of): Moments => momentsOf(of.filter((nanos) => nanos <= limit)))
  return {
    references: moments.slice(0, REFERENCES),
    kinds: Object.fromEntries(kinds.map((kind, i) => [kind, moments[REFERENCES + i]!])),
  }
}

function expectRefusal(verdict: unknown): void {
  const { outcome, isGuess } = verdict as { outcome?: string; isGuess?: boolean }
  if (outcome !== 'refused' || isGuess !== true) throw new Error(`a guess was not refused: ${JSON.stringify(verdict)}`)
}

function shuffled<Item>(items: readonly Item[]): readonly Item[] {
  const order = [...items]
  for (let i = order.length - 1; i > 0; i -= 1) {
    const other = Math.floor(Math.random() * (i + 1))
    ;[order[i], order[other]] = [order[other]!, order[i]!]
  }
  return order
}

function quantile(sets: readonly Float64Array[], share: number): number {
  const all = new Float64Array(sets.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const set of sets) {
    all.set(set, at)
    at += set.length
  }
  return all.sort()[Math.floor(all.length * share)]!
}

process.on('message', ({ subject }: TimingOrder) => {
  time(SUBJECTS[subject]).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ error: error.message }),
  )
})
process.once('disconnect', () => process.exit())
process.send?.({ ready: true })
