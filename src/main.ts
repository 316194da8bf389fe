// The entry of the `gatehouse` command: hands the arguments to the command line. Imports nothing before
// the check of the runtime, so that an old one can still say what is wrong.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 24 || (major === 24 && minor < 21)) {
  process.stderr.write(
    `gatehouse: Node.js 24.21 or newer is needed; this is ${process.versions.node}.\n`,
  )
  process.exitCode = 1
} else {
  const { main } = await import('./control/cli/cli.ts')
  const { processTerminal } = await import('./control/cli/terminal.ts')
  process.exitCode = await main(process.argv.slice(2), processTerminal())
}
