// The shop's users. Who is signed in is what the gateway says in `x-user`, which no client can send.
import { serve } from './server.ts'

const users = [
  { id: 1, name: 'Ada Lindgren', city: 'Uppsala' },
  { id: 2, name: 'Bruno Costa', city: 'Porto' },
  { id: 3, name: 'Chiyo Tanaka', city: 'Sapporo' },
]

serve('users', (request, path) => {
  if (request.method !== 'GET') return { status: 405, body: { error: 'only GET' } }
  if (path === '/api/users') return { status: 200, body: { users } }
  if (path === '/api/account') {
    return { status: 200, body: users.find(({ id }) => request.headers['x-user'] === String(id)) }
  }
  const user = users.find((user) => path === `/api/users/${user.id}`)
  return user && { status: 200, body: user }
})
