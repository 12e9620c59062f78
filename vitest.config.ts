import { defineConfig } from 'vitest/config'

// Tests run the sources: packages export `src/index.ts` under this condition.
const conditions = ['@postern/source', 'node']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts', 'examples/*/test/**/*.test.ts'],
    pool: 'forks',
    execArgv: ['--conditions=@postern/source', '--expose-gc'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
