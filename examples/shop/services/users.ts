// The shop's users.
import { serve } from './server.ts'

const users = [
  { id: 1, name: 'Ada Lindgren', city: 'Uppsala' },
  { id: 2, name: 'Bruno Costa', city: 'Porto' },
  { id: 3, name: 'Chiyo Tanaka', city: 'Sapporo' },
]

serve('users', (request, path) => {
  if (request.method !== 'GET') return { status: 405, body: { error: 'only GET' } }
  if (path === '/api/users') return { status: 200, body: { users } }
  const user = users.find((user) => path === `/api/users/${user.id}`)
  return user && { status: 200, body: user }
})
