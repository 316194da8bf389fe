// A gateway process for tests of the parent: it never gets ready.
process.on('message', () => {})
