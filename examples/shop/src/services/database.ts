import { DatabaseSync } from 'node:sqlite'

/** How long a statement waits for another process that is writing, in milliseconds. */
const BUSY_MS = 2_000

/**
 * Opens a SQLite file; what it holds from a process before this one stays. Nothing is lost by `kill -9`; made for speed, it
 * would not survive a power cut.
 *
 * @param schema statements that can be run again: `CREATE … IF NOT EXISTS`
 */
export function openDatabase(path: string, schema: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_MS })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON')
  database.exec(schema)
  return database
}

/** Runs `work` whole or not at all: what it throws undoes what it did. */
export function inTransaction<Result>(database: DatabaseSync, work: () => Result): Result {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}
