import {
  ConfigError,
  createTarget,
  type Exchange,
  exchangeOf,
  GatewayError,
  isRefusedTarget,
  parseRequestTarget,
  sendProblem,
  type Target,
} from '@postern/contracts'
import express from 'express'
import { expectAnswer, served } from './support.js'

const target: Target = createTarget('http://127.0.0.1:3000/base')
if (target.basePath !== '/base') throw new Error(`basePath is ${target.basePath}`)
if (!isRefusedTarget(parseRequestTarget('/public/../admin'))) throw new Error('a dot segment was accepted')
if (new Error('other') instanceof ConfigError) throw new Error('any error is a ConfigError')

const app = express()
app.use((req, res) => {
  const exchange: Exchange = exchangeOf(req, res)
  exchange.observe({ onExchangeClosed: () => {} })
  // `req.gateway` is known to the types as soon as the package is imported.
  const same: Exchange | undefined = req.gateway
  if (same !== exchange) throw new Error('two exchanges for one request')
  sendProblem(req, res, new GatewayError('teapot', { status: 418, title: 'Teapot', detail: 'Short and stout.' }))
})
await served(app, (url) => expectAnswer(url, 418, 'Short and stout.'))
