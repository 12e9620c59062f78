import type { Level } from './case.ts'

/** A requirement without a test, and why there is none. */
export interface Exempt {
  /** RFC and section: `9111 §4`. */
  readonly section: string
  readonly level: Level
  readonly says: string
  readonly why: string
}

/** What the RFCs ask of somebody else. */
export const notApplicable: readonly Exempt[] = [
  {
    section: '9111 §3',
    level: 'MAY',
    says: 'A private cache stores private responses.',
    why: 'this cache is shared',
  },
  {
    section: '9111 §3.2',
    level: 'SHOULD',
    says: 'A cache that stores processed content leaves only those fields out of an update that depend on the processing.',
    why: 'content is stored as it was received',
  },
  {
    section: '9111 §3.3',
    level: 'MUST',
    says: 'A cache without support for Range stores no partial responses.',
    why: 'Range and bytes are supported',
  },
  {
    section: '9111 §4',
    level: 'MUST',
    says: 'A cache without a clock revalidates every stored response.',
    why: 'there is a clock',
  },
  {
    section: '9111 §4.2',
    level: 'MUST',
    says: 'Dates finer than the time of the cache are rounded down.',
    why: 'the time of this cache is finer than that of any HTTP date',
  },
  {
    section: '9111 §5.2.2.1, §5.2.2.10',
    level: 'MUST',
    says: 'Senders write max-age and s-maxage as tokens.',
    why: 'this cache writes no Cache-Control; what the origin wrote is passed on',
  },
  {
    section: '9111 §5.2.2.4, §5.2.2.7',
    level: 'SHOULD',
    says: 'Senders write the arguments of no-cache and private as quoted strings.',
    why: 'the same',
  },
  {
    section: '9111 §5.3',
    level: 'MUST',
    says: 'Origin servers without a clock generate no Expires.',
    why: 'it is for the origin',
  },
  {
    section: '9111 §5.5',
    level: 'MUST',
    says: 'Warning, of RFC 7234.',
    why: 'it is obsolete; none is generated, what the origin sends is passed on',
  },
  {
    section: '9111 §6',
    level: 'MUST',
    says: 'History lists show what was seen, also when it is stale.',
    why: 'it is for user agents',
  },
  {
    section: '9110 §7.6.1, §7.6.3',
    level: 'MUST',
    says: 'Connection fields are removed and Via is added where messages are forwarded.',
    why: 'the proxy does it, and its tests show it; that nothing of it is stored is 9111-3.1-connection-fields',
  },
  {
    section: '9110 §8.8',
    level: 'SHOULD',
    says: 'Validators are generated where they can be.',
    why: 'it is for the origin; none is made up here',
  },
  {
    section: '9110 §9.3.6, §9.3.8',
    level: 'MUST',
    says: 'Responses to CONNECT and TRACE are not stored.',
    why: 'neither method comes this far: the server and the proxy take care of them',
  },
  {
    section: '9110 §13.1.1, §13.1.4',
    level: 'MUST',
    says: 'If-Match compares strongly, If-Unmodified-Since needs a date.',
    why: 'they are evaluated by the origin alone, see 9111-4.3.2-origin-conditions',
  },
  {
    section: '9110 §13.1.5',
    level: 'MUST',
    says: 'Clients send If-Range with a strong validator only.',
    why: 'no If-Range is generated here',
  },
  {
    section: '9110 §14.5',
    level: 'MAY',
    says: 'Partial PUT.',
    why: 'it is written through like any PUT',
  },
  {
    section: '8246 §2.1',
    level: 'SHOULD',
    says: 'Clients ignore immutable from sources that they cannot authenticate.',
    why: 'it is for user agents; here it prolongs nothing',
  },
  {
    section: '9213 §2.1',
    level: 'MUST',
    says: 'Senders generate targeted fields as Structured Fields.',
    why: 'none is generated here; what the origin wrote is passed on',
  },
]

/** What the RFCs allow and this cache does not do. */
export const notDone: readonly Exempt[] = [
  {
    section: '9111 §3.3',
    level: 'MAY',
    says: 'A stored part is completed by a request for the rest.',
    why: 'the whole is asked for, and takes its place',
  },
  {
    section: '9111 §3.3',
    level: 'MAY',
    says: 'A response that broke off is stored as a part.',
    why: 'it is forgotten',
  },
  {
    section: '9111 §4.1',
    level: 'MAY',
    says: 'Among several matching responses the one is chosen that the request prefers, by qvalues.',
    why: 'the most recent one is',
  },
  {
    section: '9111 §4.2.4',
    level: 'MAY',
    says: 'A cache that is cut off from the origin serves stale responses without being permitted to.',
    why: 'somebody has to permit it: client, origin or an option',
  },
  {
    section: '9111 §4.3.2',
    level: 'MAY',
    says: "The client's entity tags are sent along with those of the store.",
    why: "only what is stored is asked about, and the client's condition evaluated on what comes back: it saves no content that the store could have kept",
  },
  {
    section: '9111 §4.3.1',
    level: 'MAY',
    says: 'A part is validated by its date, with If-Unmodified-Since or If-Range.',
    why: 'only strong entity tags are trusted for parts',
  },
  {
    section: '9111 §4.3.3',
    level: 'MAY',
    says: 'A validation that failed is tried again.',
    why: 'retries are the business of the proxy',
  },
  {
    section: '9211 §2.6',
    level: 'MAY',
    says: 'collapsed=?0 tells that a request waited in vain for an equal one.',
    why: 'it is told as any other that was forwarded',
  },
  {
    section: '9211 §2.7',
    level: 'MAY',
    says: 'Cache-Status tells the key.',
    why: 'it may have parts that are not for clients',
  },
]
