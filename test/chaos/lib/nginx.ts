import { join } from 'node:path'

/** Configuration of nginx in front of `upstreams` (`127.0.0.1:port`); everything it writes goes to `folder`. */
export function nginxConfig(port: number, upstreams: readonly string[], folder: string): string {
  const servers = upstreams.map((address) => `    server ${address} max_fails=1 fail_timeout=2s;`)
  // Started by root it would give its worker another user's rights, who may not see the folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  return `${user}worker_processes 1;
pid ${join(folder, 'nginx.pid')};
error_log ${join(folder, 'error.log')} crit;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${join(folder, 'body')};
  proxy_temp_path ${join(folder, 'proxy')};
  fastcgi_temp_path ${join(folder, 'fastcgi')};
  uwsgi_temp_path ${join(folder, 'uwsgi')};
  scgi_temp_path ${join(folder, 'scgi')};
  keepalive_timeout 75s;
  keepalive_requests 1000000;
  upstream shop {
${servers.join('\n')}
    keepalive 64;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://shop;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 1s;
      proxy_read_timeout 2s;
    }
  }
}
`
}
