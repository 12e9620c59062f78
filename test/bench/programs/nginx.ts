import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProgramPlace } from '../lib/programs.ts'

/** `files` says how nginx gives out what it has in files: as Debian configures it, or as is quickest for small ones. */
const FILES: Readonly<Record<string, string>> = {
  debian: 'sendfile on; tcp_nopush on;',
  small: 'sendfile off; open_file_cache max=1000 inactive=60s;',
}

/**
 * nginx with `proxy_cache`: one worker, keep-alive to both sides, no access log. Its files are in the page cache all the
 * time, so that no disk is measured.
 */
export function prepare({ folder, port, upstream, params }: ProgramPlace): readonly string[] {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  for (const name of [...temporary, 'cache']) mkdirSync(join(folder, name))
  const file = join(folder, 'nginx.conf')
  writeFileSync(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  ${FILES[params.files ?? 'debian']}
  keepalive_timeout 65s;
  keepalive_requests 1000000000;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name};`).join('\n')}
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=bench:10m max_size=64m inactive=1h use_temp_path=off;
  upstream origin {
    server ${upstream};
    keepalive 64;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache bench;
    }
  }
}
`,
  )
  // -e: before it has read its configuration, it would complain to a file of the system's.
  return ['-p', folder, '-c', file, '-e', join(folder, 'error.log')]
}
