/** Configuration of haproxy in front of `upstreams` (`127.0.0.1:port`); `limited`: two requests to each, and a short queue. */
export function haproxyConfig(port: number, upstreams: readonly string[], limited: boolean): string {
  const maxconn = limited ? ' maxconn 2' : ''
  const servers = upstreams.map(
    (address, index) => `  server s${index} ${address} check inter 500ms fall 2 rise 1${maxconn}`,
  )
  return `global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout server 2s
  timeout client 30s
  timeout http-keep-alive 75s
${limited ? '  timeout queue 400ms\n' : ''}  retries 3
  option redispatch 1
  retry-on conn-failure empty-response response-timeout 502 503 504
frontend in
  bind 127.0.0.1:${port} backlog 1024
  default_backend shop
backend shop
  balance roundrobin
  option httpchk GET /healthz
${servers.join('\n')}
`
}
