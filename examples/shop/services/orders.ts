// The shop's orders, kept in memory: POST places one.
import { type Answer, readJson, serve } from './server.ts'

interface Order {
  id: number
  user: number
  product: number
  quantity: number
}

const orders: Order[] = [{ id: 1, user: 2, product: 3, quantity: 1 }]

serve('orders', async (request, path) => {
  if (path === '/api/orders' && request.method === 'POST') return place(await readJson(request))
  if (request.method !== 'GET') return { status: 405, body: { error: 'only GET and POST' } }
  if (path === '/api/orders') return { status: 200, body: { orders } }
  const order = orders.find((order) => path === `/api/orders/${order.id}`)
  return order && { status: 200, body: order }
})

function place(wanted: unknown): Answer {
  const { user, product, quantity } = (wanted ?? {}) as Record<string, unknown>
  if (!isCount(user) || !isCount(product) || !isCount(quantity)) {
    const error = 'an order needs "user", "product" and "quantity", each a positive whole number'
    return { status: 400, body: { error } }
  }
  const order = { id: orders.length + 1, user, product, quantity }
  orders.push(order)
  return { status: 201, headers: { location: `/api/orders/${order.id}` }, body: order }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}
