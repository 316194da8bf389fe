// What the parent runs in tests of the process model: `run FILE THREADS [watch]`.
import { runGateway } from './run-gateway.ts'

// The gateway process notices that its parent is gone.
process.stdin.on('end', () => process.exit(99)).resume()
const [file, threads, watch] = process.argv.slice(2)
const entry = new URL('./gateway.test-support.ts', import.meta.url)
process.exit(
  await runGateway({ file: file!, threads: Number(threads), watch: watch === 'watch', entry }),
)
