import { type Express, Router } from 'express'
import { bodyOf, createServiceApp, ServiceError, shortText } from '../http.ts'
import { isPassword } from './passwords.ts'
import type { AccountStore } from './store.ts'
import { LIFE_S, type Tokens } from './tokens.ts'

/** Where customers sign in, and where the keys are by which their tokens are verified. */
export function createApp(instance: string, store: AccountStore, tokens: Tokens): Express {
  const routes = Router()

  routes.post('/login', async (req, res) => {
    const { email, password } = bodyOf(req.body)
    const found = store.find(shortText(email, 'email', 254))
    // One answer for both, in the same time: who has an account here is nobody's business.
    if (!(await isPassword(shortText(password, 'password', 128), found?.password)) || found === undefined) {
      throw new ServiceError(401, 'wrong_login', 'The email or the password is wrong.')
    }
    res.set('Cache-Control', 'no-store')
    res.json({ access_token: await tokens.issue(found.customer), token_type: 'Bearer', expires_in: LIFE_S })
  })

  routes.get('/.well-known/jwks.json', async (_req, res) => {
    res.set('Cache-Control', 'public, max-age=300')
    res.json(await tokens.jwks())
  })

  return createServiceApp(instance, routes, { check: store.check })
}
