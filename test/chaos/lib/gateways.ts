import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SETTINGS as HPM_SETTINGS } from '../gateways/http-proxy-middleware.ts'
import { SETTINGS as POSTERN_SETTINGS } from '../gateways/postern.ts'
import { Child } from './child.ts'
import { haproxyConfig } from './haproxy.ts'
import { nginxConfig } from './nginx.ts'
import { isPeerInstalled, manifestAt, ROOT, versionOfPeer } from './peers.ts'
import type { GatewaySetup, Setting } from './protocol.ts'

export interface StartOptions {
  readonly port: number
  readonly upstreams: readonly string[]
  readonly setting: Setting
  /** Where it may write. */
  readonly folder: string
}

/** One gateway of the comparison. */
export interface Gateway {
  readonly name: string
  /** Version; undefined when it is not installed here. */
  readonly version: string | undefined
  /** How to have it. */
  readonly cure: string
  /** Its configuration for each setting, in words; a setting without words is one that it does not have. */
  readonly settings: Readonly<Record<Setting, string | undefined>>
  /** The signal that asks it to finish what it has and go. */
  readonly stopSignal: NodeJS.Signals
  start(options: StartOptions): Child
}

const postern: Gateway = {
  name: 'postern',
  version: manifestAt(join(ROOT, 'packages', 'proxy')).version,
  cure: 'it is this repository',
  settings: POSTERN_SETTINGS,
  stopSignal: 'SIGTERM',
  start: (options) => hosted('postern', options),
}

const nginx: Gateway = {
  name: 'nginx',
  version: versionOf('nginx', ['-v'], /nginx\/([\d.]+)/),
  cure: 'install nginx and have it on the path',
  settings: {
    default:
      '`keepalive 64`, `max_fails=1 fail_timeout=2s`, connect 1 s, read 2 s, `proxy_next_upstream` as it is (error, timeout; not for POST); no active checks',
    limit: undefined,
    adaptive: undefined,
  },
  stopSignal: 'SIGQUIT',
  start({ port, upstreams, folder }) {
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, nginxConfig(port, upstreams.map(addressOf), folder))
    return Child.command('nginx', ['-e', join(folder, 'error.log'), '-c', file, '-g', 'daemon off;'])
  },
}

const haproxy: Gateway = {
  name: 'haproxy',
  version: versionOf('haproxy', ['-v'], /HAProxy version ([\d.]+)/),
  cure: 'install haproxy and have it on the path',
  settings: {
    default:
      'active checks every 500 ms (`fall 2 rise 1`), connect 1 s, server 2 s, `retries 3`, `option redispatch 1`, `retry-on conn-failure empty-response response-timeout 502 503 504`',
    limit: '`maxconn 2` for each server, `timeout queue 400ms`',
    adaptive: undefined,
  },
  stopSignal: 'SIGUSR1',
  start({ port, upstreams, setting, folder }) {
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(file, haproxyConfig(port, upstreams.map(addressOf), setting === 'limit'))
    return Child.command('haproxy', ['-db', '-q', '-f', file])
  },
}

const httpProxyMiddleware: Gateway = {
  name: 'http-proxy-middleware',
  version: isPeerInstalled('http-proxy-middleware') ? versionOfPeer('http-proxy-middleware') : undefined,
  cure: 'run the benchmark once: it installs it into test/bench',
  settings: HPM_SETTINGS,
  stopSignal: 'SIGTERM',
  start: (options) => hosted('http-proxy-middleware', options),
}

/** In the order of the report's columns. nginx is what some figures are compared with, so it goes before them. */
export const GATEWAYS: readonly Gateway[] = [nginx, haproxy, httpProxyMiddleware, postern]

function hosted(file: string, { port, upstreams, setting }: StartOptions): Child {
  return Child.node('gateway', { file, port, upstreams, setting } satisfies GatewaySetup)
}

function addressOf(url: string): string {
  return new URL(url).host
}

/** nginx tells its version on standard error, haproxy on standard output. */
function versionOf(command: string, args: readonly string[], pattern: RegExp): string | undefined {
  try {
    return pattern.exec(execFileSync('sh', ['-c', `${command} ${args.join(' ')} 2>&1`], { encoding: 'utf8' }))?.[1]
  } catch {
    return undefined
  }
}
