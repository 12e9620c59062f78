/**
 * Hosts one Node gateway: loads its file from `gateways/`, and nothing else, so that the memory it shows is its own.
 * SIGTERM stops it as its file says; the process then ends by itself, or does not.
 */
import type { Server } from 'node:http'
import type { GatewaySetup } from '../lib/protocol.ts'

/** What a file in `gateways/` makes. */
export interface HostedGateway {
  readonly server: Server
  /** Stops it gracefully: no new connections, what is under way finishes. */
  stop(): Promise<void>
}

const setup = JSON.parse(process.argv[2] ?? '') as GatewaySetup
const file = (await import(`../gateways/${setup.file}.ts`)) as {
  createGateway(setup: GatewaySetup): HostedGateway | Promise<HostedGateway>
}
const gateway = await file.createGateway(setup)
gateway.server.listen({ port: setup.port, host: '127.0.0.1', backlog: 1_024 })

const onDisconnect = (): void => process.exit()
process.once('disconnect', onDisconnect)
/** Collects garbage, so that memory can be compared. */
const onMessage = (): void => {
  globalThis.gc?.()
  process.send?.({ collected: true })
}
process.on('message', onMessage)
process.once('SIGTERM', () => {
  // The channel to the fault run must not be what keeps the process.
  process.off('disconnect', onDisconnect)
  process.off('message', onMessage)
  process.disconnect?.()
  void gateway.stop()
})
