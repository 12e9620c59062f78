import { answerGroups } from './cases/all.ts'
import { runCases } from './run-cases.ts'

runCases(answerGroups)
