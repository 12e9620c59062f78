import { Writable } from 'node:stream'
import { type LoggerHandler, logger } from '@postern/logger'
import express from 'express'
import { expectAnswer, served } from './support.js'

let written = ''
const stream = new Writable({
  write(chunk: Buffer, _encoding, done) {
    written += chunk.toString()
    done()
  },
})
const log: LoggerHandler = logger({ stream })
const app = express()
app.use(log)
app.get('/hello', (_req, res) => {
  res.send('hello')
})
await served(app, (url) => expectAnswer(`${url}/hello`, 200, 'hello'))
await log.close()
if (!written.includes('/hello')) throw new Error(`nothing was logged: ${JSON.stringify(written)}`)
