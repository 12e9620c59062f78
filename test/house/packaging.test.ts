import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PACKAGES, ROOT, readManifest, run, tool } from './repo.ts'

/**
 * What a user gets: the packages are built, packed, looked at, installed into a project outside the workspace, and used
 * there from JavaScript and TypeScript. `consumer/<package>.ts` is what that project does with each.
 */
const temporary = mkdtempSync(path.join(os.tmpdir(), 'postern-packaging-'))
const tarballs = path.join(temporary, 'tarballs')
const project = path.join(temporary, 'consumer')
const CONSUMER = path.join(import.meta.dirname, 'consumer')
/** Package name → tarball. */
const packed = new Map<string, string>()
const consumers = PACKAGES.filter((each) => existsSync(path.join(CONSUMER, `${each.folder}.ts`)))

function must(what: string, result: { code: number; output: string }): void {
  if (result.code !== 0) throw new Error(`${what} failed (${result.code}):\n${result.output}`)
}

/** Runs pnpm: the one that runs this test, or the one that npx finds. */
function pnpm(args: readonly string[], cwd: string): Promise<{ code: number; output: string }> {
  const running = process.env.npm_execpath
  if (running !== undefined && path.basename(running).startsWith('pnpm') && existsSync(running)) {
    if (/\.[cm]?js$/.test(running)) return run(process.execPath, [running, ...args], { cwd })
    return run(running, args, { cwd })
  }
  return run('npx', ['--yes', 'pnpm@12', ...args], { cwd })
}

beforeAll(async () => {
  must('tsc -b', await run(process.execPath, [tool('typescript', 'tsc'), '-b', '--pretty', 'false']))
  mkdirSync(tarballs)
  for (const each of PACKAGES) {
    const before = new Set(readdirSync(tarballs))
    must(`pnpm pack of ${each.name}`, await pnpm(['pack', '--pack-destination', tarballs], each.path))
    const file = readdirSync(tarballs).find((name) => !before.has(name))
    if (file === undefined) throw new Error(`pnpm pack of ${each.name} wrote no tarball`)
    packed.set(each.name, path.join(tarballs, file))
  }
  await install()
}, 600_000)

afterAll(() => {
  rmSync(temporary, { recursive: true, force: true })
})

/** A project of someone else: npm, Express, types, and our tarballs. */
async function install(): Promise<void> {
  const ours = Object.fromEntries([...packed].map(([name, file]) => [name, `file:${file}`]))
  const { devDependencies = {} } = readManifest(ROOT)
  mkdirSync(project)
  writeFileSync(
    path.join(project, 'package.json'),
    JSON.stringify({
      name: 'consumer',
      private: true,
      type: 'module',
      dependencies: {
        ...ours,
        express: devDependencies.express,
        '@types/express': devDependencies['@types/express'],
        '@types/node': devDependencies['@types/node'],
      },
      // Our packages name each other by version; here those versions are the tarballs.
      overrides: ours,
    }),
  )
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error']
  must('npm install', await run('npm', args, { cwd: project }))
  for (const name of readdirSync(CONSUMER)) {
    copyFileSync(path.join(CONSUMER, name), path.join(project, name))
    const javascript = stripTypeScriptTypes(readFileSync(path.join(CONSUMER, name), 'utf8'))
    writeFileSync(path.join(project, name.replace(/\.ts$/, '.js')), javascript)
  }
}

test('every package has a consumer', () => {
  const without = PACKAGES.filter((each) => !consumers.includes(each))
  expect(without.map((each) => `${each.name} needs test/house/consumer/${each.folder}.ts`)).toEqual([])
})

describe.each(PACKAGES.map((each) => [each.name, each] as const))('the tarball of %s', (name, each) => {
  test('pleases publint', async () => {
    const tarball = readFileSync(packed.get(name)!)
    const { messages, pkg } = await publint({
      pack: {
        tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) as ArrayBuffer,
      },
    })
    const faults = messages.filter((message) => message.type !== 'suggestion')
    expect(faults.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  test('gives types to every resolver of ES modules', async () => {
    const attw = tool('@arethetypeswrong/cli', 'attw')
    const { code, output } = await run(process.execPath, [
      attw,
      packed.get(name)!,
      '--profile',
      'esm-only',
      '--no-color',
    ])
    expect(code, output).toBe(0)
  })

  test('carries what it promises and nothing else', () => {
    const installed = path.join(project, 'node_modules', name)
    const entries = readdirSync(installed).filter((entry) => entry !== 'node_modules')
    expect(entries.sort()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json'])
    expect(readdirSync(path.join(installed, 'dist')).filter((file) => !/\.(?:js|d\.ts)$|^[^.]+$/.test(file))).toEqual(
      [],
    )
    const { dependencies = {}, version } = readManifest(installed)
    expect(version).toBe(each.manifest.version)
    expect(Object.values(dependencies).filter((range) => range.includes('workspace:'))).toEqual([])
  })
})

describe('a project outside the workspace', () => {
  test.for(consumers.map((each) => [each.name, each.folder] as const))('boots Express with %s', async ([, folder]) => {
    const { code, output } = await run(process.execPath, [path.join(project, `${folder}.js`)], {
      cwd: project,
      timeoutMs: 30_000,
    })
    expect(code, output).toBe(0)
    expect(output, 'no warning either').not.toMatch(/Warning/)
  })

  test.each([
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ])('type-checks with module %s and moduleResolution %s', async (module, moduleResolution) => {
    const config = path.join(project, `tsconfig.${moduleResolution}.json`)
    writeFileSync(
      config,
      JSON.stringify({
        compilerOptions: {
          target: 'es2022',
          module,
          moduleResolution,
          strict: true,
          exactOptionalPropertyTypes: true,
          // Our own declarations are checked too: a user may not skip it.
          skipLibCheck: false,
          noEmit: true,
          types: ['node'],
        },
        files: consumers.map((each) => `${each.folder}.ts`),
      }),
    )
    const args = [tool('typescript', 'tsc'), '-p', config, '--pretty', 'false']
    const { code, output } = await run(process.execPath, args, { cwd: project })
    const ours = output.split('\n').filter((line) => /error TS/.test(line) && !foreign(line))
    expect(ours, output).toEqual([])
    expect(code === 0 || output.split('\n').some(foreign), output).toBe(true)
  })
})

/** An error within the declarations of a package that is not ours. */
function foreign(line: string): boolean {
  return /^node_modules\/(?!@postern\/).*error TS/.test(line)
}
