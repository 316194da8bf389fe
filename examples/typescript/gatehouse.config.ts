// A configuration in TypeScript: typed, completed by the editor, and free to compute what repeats itself.
// In a project of your own the import is from 'gatehouse'.
import { defineGateway } from '../../src/index.ts'

const services = { users: 4001, orders: 4002, products: 4003 }

export default defineGateway({
  listen: 'http://127.0.0.1:8080',
  services: Object.fromEntries(
    Object.entries(services).map(([name, port]) => [name, `http://127.0.0.1:${port}`]),
  ),
  use: ['request-id', 'access-log'],
  routes: Object.keys(services).map((name) => ({
    path: `/api/${name}/*`,
    use: [{ 'body-limit': { max: '1mb' } }],
    to: name,
  })),
})
