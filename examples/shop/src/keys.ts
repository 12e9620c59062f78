import { type ApiKeyRecord, hashApiKey } from '@postern/auth'

/** The keys themselves. They are told to their holders, and kept nowhere. */
export interface PlainKeys {
  readonly staff: string
  readonly reseller: string
  readonly fintech: string
}

/**
 * The table of API keys: hashes, whose they are, and what may be done with them. In a shop that lasts it comes out of a file
 * or a database, to which the hash was written when the key was made (`generateApiKey()`).
 *
 * Two records may have one subject: the next key of a partner is added, and the old one taken away once he uses the new.
 */
export function keyTable({ staff, reseller, fintech }: PlainKeys): readonly ApiKeyRecord[] {
  return [
    { id: 'staff', hash: hashApiKey(staff), subject: 'staff', scopes: ['prices:write', 'stock:read'] },
    // Sells our things in its own shop: sees what is left of all of them, and has some set aside.
    {
      id: 'reseller-1',
      hash: hashApiKey(reseller),
      subject: 'partner-mugs-and-more',
      scopes: ['stock:read', 'stock:reserve'],
    },
    // Pays for its own customers, and sees these payments: nobody else's.
    {
      id: 'fintech-1',
      hash: hashApiKey(fintech),
      subject: 'partner-pennywise',
      scopes: ['payments:read', 'payments:write'],
    },
  ]
}
