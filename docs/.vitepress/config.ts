import { defineConfig } from 'vitepress'
import { slug } from './slug.ts'

export default defineConfig({
  title: 'Postern',
  description: 'The API gateway you build into the Express app you already have',
  lang: 'en-GB',
  // Problem answers point to /problems#code, without an extension.
  cleanUrls: true,
  markdown: { anchor: { slugify: slug } },
  themeConfig: {
    nav: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Problems', link: '/problems' },
      { text: 'Architecture', link: '/architecture' },
      { text: 'Benchmarks', link: '/benchmarks' },
      { text: 'Reliability', link: '/reliability' },
    ],
    sidebar: [
      {
        text: 'Use',
        items: [
          { text: 'Getting started', link: '/getting-started' },
          { text: 'When a service fails', link: '/resilience' },
          { text: 'Authentication', link: '/authentication' },
          { text: 'Caching', link: '/caching' },
          { text: 'Problem codes', link: '/problems' },
        ],
      },
      {
        text: 'Understand',
        items: [
          { text: 'Architecture', link: '/architecture' },
          { text: 'What the cache keeps to', link: '/cache-conformance' },
          { text: 'Benchmarks', link: '/benchmarks' },
          { text: 'Reliability', link: '/reliability' },
        ],
      },
    ],
    outline: { level: [2, 3] },
    search: { provider: 'local' },
  },
})
