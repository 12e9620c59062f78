import { DatabaseSync } from 'node:sqlite'

/** Opens a SQLite file, made for speed rather than for surviving a power cut: the shop's data is made anew each start. */
export function openDatabase(path: string, schema: string): DatabaseSync {
  const database = new DatabaseSync(path)
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
