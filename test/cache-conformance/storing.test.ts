import { storingGroups } from './cases/all.ts'
import { runCases } from './run-cases.ts'

runCases(storingGroups)
