import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Router } from 'express'

/** An answer that is not the one asked for, with a code for programs and a message for people. */
export class ServiceError extends Error {
  readonly status: number
  readonly code: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(status: number, code: string, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.name = 'ServiceError'
    this.status = status
    this.code = code
    this.details = details
  }
}

export interface ServiceAppOptions {
  /** Throws when the service cannot do its work; asked by `/healthz`, often, so it should be cheap. */
  readonly check?: () => void
  /** Stands before all but `/healthz`, and before a body is read. */
  readonly guard?: RequestHandler
}

/**
 * The frame of every service: JSON in and out, `/healthz`, which instance answered, errors as
 * `{ error, message }`.
 */
export function createServiceApp(
  instance: string,
  routes: Router,
  { check = () => {}, guard }: ServiceAppOptions = {},
): Express {
  const app = express()
  app.disable('x-powered-by')
  app.use(namesInstance(instance))
  app.get('/healthz', (_req, res) => {
    try {
      check()
    } catch {
      res.status(503).json({ status: 'failing', instance })
      return
    }
    res.json({ status: 'ok', instance, uptimeSeconds: Math.round(process.uptime()) })
  })
  if (guard !== undefined) app.use(guard)
  app.use(express.json({ limit: '16kb' }))
  app.use(routes)
  app.use((req) => {
    throw new ServiceError(404, 'not_found', `There is no ${req.method} ${req.path} here.`)
  })
  app.use(answersErrors)
  return app
}

/** A whole number of a body or query, or a 400 that says what was wanted. */
export function wholeNumber(value: unknown, name: string, min: number, max: number): number {
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number
  throw new ServiceError(400, 'bad_request', `${name} must be a whole number from ${min} to ${max}.`)
}

/** A short text of a body or query, or a 400. */
export function shortText(value: unknown, name: string, maxLength = 64): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= maxLength) return value
  throw new ServiceError(400, 'bad_request', `${name} must be a text of 1 to ${maxLength} characters.`)
}

/** The body as an object, whatever was sent. */
export function bodyOf(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
}

function namesInstance(instance: string): RequestHandler {
  return (_req, res, next) => {
    res.set('X-Instance', instance)
    next()
  }
}

const answersErrors: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) {
    next(error)
    return
  }
  if (error instanceof ServiceError) {
    res.status(error.status).json({ error: error.code, message: error.message, ...error.details })
    return
  }
  // The body parser's errors say themselves what they are and whether they may be shown.
  const { status, expose, message } = error as { status?: number; expose?: boolean; message?: string }
  if (status !== undefined && expose === true) {
    res.status(status).json({ error: 'bad_request', message })
    return
  }
  console.error(error)
  res.status(500).json({ error: 'internal', message: 'Something went wrong on our side.' })
}
