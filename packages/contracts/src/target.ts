import { ConfigError } from './config-error.ts'

/** TLS towards a target. Certificates are verified unless `rejectUnauthorized` says otherwise. */
export interface TargetTls {
  /** Certificate authorities that may sign the target's certificate, PEM. Replaces the system's list. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[]
  /** Client certificate, PEM, for mutual TLS. */
  readonly cert?: string | Buffer
  /** Private key of `cert`, PEM. */
  readonly key?: string | Buffer
  /** Passphrase of `key`. */
  readonly passphrase?: string
  /** Name to send (SNI) and to verify. @default the host of the target's URL */
  readonly servername?: string
  /**
   * `false` accepts any certificate: whoever sits on the wire can then read and change everything.
   * For a laptop only. @default true
   */
  readonly rejectUnauthorized?: boolean
}

/** How a user writes a target when a URL alone does not say enough. */
export interface TargetOptions {
  /**
   * `http://host:port/base`, `https://host/base`, or `unix:/path/to.sock` for HTTP over a Unix socket. A path becomes
   * the base path that every forwarded path is appended to. No credentials, query or fragment.
   */
  readonly url: string | URL
  /** Name of the target in logs, cookies and handles; unique in its pool. @default the URL */
  readonly id?: string
  /** Share of the traffic against the other targets, 0 to 1,000,000; 0 takes none. @default 1 */
  readonly weight?: number
  /**
   * Priority tier, 0 to 100: those of tier 1 are the backups of tier 0, and so on. A tier takes requests while too few
   * targets of the lower ones can; how few, the balancer's `panicThreshold` says. @default 0
   */
  readonly tier?: number
  /** Path of a Unix socket to connect to instead of the URL's host. */
  readonly socketPath?: string
  readonly tls?: TargetTls
  /** Free labels (zone, version, …) for strategies, logs and metrics. */
  readonly tags?: Readonly<Record<string, string>>
}

/** One place to send requests to. Frozen; its identity is what pools, leases and health are keyed by. */
export interface Target {
  readonly id: string
  /** `http://host:port`, without a path. */
  readonly origin: string
  /** Host and port as they go into the `Host` header; the port is left out when it is the scheme's default. */
  readonly host: string
  readonly secure: boolean
  /** Starts with `/` and does not end with one; empty when the URL has no path. */
  readonly basePath: string
  readonly weight: number
  readonly tier: number
  readonly socketPath: string | undefined
  readonly tls: TargetTls | undefined
  readonly tags: Readonly<Record<string, string>>
}

const NO_TAGS: Readonly<Record<string, string>> = Object.freeze({})

/**
 * Checks what a user wrote and makes the target of it.
 *
 * @param input a URL, or {@link TargetOptions}
 * @param path where the input stands in the user's options, for the error
 * @throws ConfigError when the URL cannot be used as a target
 */
export function createTarget(input: string | URL | TargetOptions, path = 'target'): Target {
  const options: TargetOptions = typeof input === 'string' || input instanceof URL ? { url: input } : input
  const at = options === input ? `${path}.url` : path
  const text = String(options.url)
  // Whatever stands where credentials would, must not come back in an error.
  const shown = text.replace(/\/\/[^/?#]*@/, '//…@')
  let url: URL
  let socketPath = options.socketPath
  if (text.startsWith('unix:')) {
    socketPath = text.slice('unix:'.length)
    if (!socketPath.startsWith('/')) throw fault(at, text, 'write an absolute path: unix:/run/app.sock')
    url = new URL('http://localhost')
  } else {
    if (!URL.canParse(text)) throw fault(at, shown, 'write a whole URL, such as http://127.0.0.1:3000')
    url = new URL(text)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw fault(at, shown, 'use http:, https: or unix:')
  }
  if (url.username !== '' || url.password !== '') {
    throw fault(at, shown, 'leave credentials out of the URL; set an Authorization header instead')
  }
  if (url.search !== '' || url.hash !== '') throw fault(at, text, 'leave the query and the fragment out of the URL')
  const weight = options.weight ?? 1
  if (!(typeof weight === 'number' && weight >= 0 && weight <= 1_000_000))
    throw fault(`${path}.weight`, weight, 'use a number from 0 to 1000000')
  const tier = options.tier ?? 0
  if (!(Number.isInteger(tier) && tier >= 0 && tier <= 100))
    throw fault(`${path}.tier`, tier, 'use a whole number from 0 to 100')
  const basePath = url.pathname.replace(/\/+$/, '')
  return Object.freeze({
    id: options.id ?? (socketPath !== undefined && text.startsWith('unix:') ? text : `${url.origin}${basePath}`),
    origin: url.origin,
    host: url.host,
    secure: url.protocol === 'https:',
    basePath,
    weight,
    tier,
    socketPath,
    tls: options.tls,
    tags: options.tags ?? NO_TAGS,
  })
}

function fault(path: string, received: unknown, cure: string): ConfigError {
  return new ConfigError('target', [{ path, message: 'not a usable target', received, cure }])
}
