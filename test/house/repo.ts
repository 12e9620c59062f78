import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly type?: string
  readonly license?: string
  readonly description?: string
  readonly sideEffects?: boolean
  readonly engines?: Record<string, string>
  readonly exports?: Record<string, string | Record<string, string>>
  readonly files?: readonly string[]
  readonly bin?: unknown
  readonly main?: string
  readonly module?: string
  readonly types?: string
  readonly dependencies?: Record<string, string>
  readonly devDependencies?: Record<string, string>
  readonly peerDependencies?: Record<string, string>
}

/** One folder under packages/. */
export interface Package {
  /** Name of the folder: `rate-limit`. */
  readonly folder: string
  /** Published name: `@postern/rate-limit`. */
  readonly name: string
  /** Absolute path. */
  readonly path: string
  readonly manifest: Manifest
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest
}

/** All packages that exist now. */
export const PACKAGES: readonly Package[] = readdirSync(path.join(ROOT, 'packages'))
  .filter((folder) => existsSync(path.join(ROOT, 'packages', folder, 'package.json')))
  .sort()
  .map((folder) => {
    const at = path.join(ROOT, 'packages', folder)
    const manifest = readManifest(at)
    return { folder, name: manifest.name, path: at, manifest }
  })

const SKIPPED = new Set(['node_modules', 'dist', '.git', 'cache', 'results', 'coverage'])

/** Every file below a folder whose name ends so; dependencies and build output left out. Absolute paths, sorted. */
export function filesBelow(folder: string, ending: string | RegExp): string[] {
  if (!existsSync(folder)) return []
  const found: string[] = []
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const at = path.join(folder, entry.name)
    if (entry.isDirectory()) {
      if (!SKIPPED.has(entry.name)) found.push(...filesBelow(at, ending))
    } else if (typeof ending === 'string' ? entry.name.endsWith(ending) : ending.test(entry.name)) found.push(at)
  }
  return found.sort()
}

/** Every text file that git knows or would know: tracked, or neither tracked nor ignored. Paths from the root. */
export async function repositoryFiles(): Promise<string[]> {
  const { code, output } = await run('git', ['ls-files', '-co', '--exclude-standard', '-z'])
  if (code !== 0) throw new Error(`git ls-files failed: ${output}`)
  return output.split('\0').filter((file) => file !== '' && existsSync(path.join(ROOT, file)))
}

/** A path as it is shown in a message: from the root of the repository. */
export function shown(file: string): string {
  return path.relative(ROOT, file)
}

/** Markdown that is published: the README files and the documentation. Absolute paths. */
export function markdownFiles(): string[] {
  const readmes = [ROOT, ...PACKAGES.map((each) => each.path), ...exampleFolders()]
    .map((folder) => path.join(folder, 'README.md'))
    .filter((file) => existsSync(file))
  return [...readmes, ...filesBelow(path.join(ROOT, 'docs'), '.md')]
}

function exampleFolders(): string[] {
  const folder = path.join(ROOT, 'examples')
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(folder, entry.name))
}

/** Runs a command to its end, without input. Never throws for an exit code. */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      {
        cwd: options.cwd ?? ROOT,
        env: { ...process.env, NODE_OPTIONS: '', FORCE_COLOR: '0', ...options.env },
        timeout: options.timeoutMs ?? 300_000,
        maxBuffer: 64 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        const why = error !== null && typeof error.code !== 'number' ? `${error.message}\n` : ''
        resolve({ code, output: `${why}${stdout}${stderr}` })
      },
    )
    child.stdin?.end()
  })
}

/** The entry of a command of the repository's own tools, to be run with this Node. */
export function tool(packageName: string, command: string): string {
  const folder = path.join(ROOT, 'node_modules', packageName)
  const bin = (JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { bin: Record<string, string> })
    .bin
  const entry = bin[command]
  if (entry === undefined) throw new Error(`${packageName} has no command "${command}"`)
  return path.join(folder, entry)
}
