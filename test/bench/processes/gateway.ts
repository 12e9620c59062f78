/**
 * Hosts one gateway under test: loads its file from `gateways/`, and nothing else, so that the memory it shows is its
 * own. It answers `{ ask: 'state' }` with what the memory checks want to know.
 */
import type { Server } from 'node:http'
import type { GatewayContext, GatewaySetup } from '../lib/protocol.ts'
import { stateOf } from '../lib/state.ts'

const setup = JSON.parse(process.argv[2] ?? '') as GatewaySetup
const file = (await import(`../gateways/${setup.file}.ts`)) as {
  createServer(context: GatewayContext): Server | Promise<Server>
}
const server = await file.createServer(setup.context)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  process.send?.({ port: address.port })
})
process.on('message', () => {
  void stateOf(server).then((state) => process.send?.(state))
})
process.once('disconnect', () => process.exit())
