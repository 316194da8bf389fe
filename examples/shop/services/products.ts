// The shop's products. Several instances of it run side by side; each names itself in its answers.
import { serve } from './server.ts'

const instance = process.env.NAME ?? 'products'

const products = [
  { id: 1, name: 'Moka pot', price: 34.5 },
  { id: 2, name: 'Hand grinder', price: 79 },
  { id: 3, name: 'Pour-over kettle', price: 58.9 },
]

serve(instance, (request, path) => {
  if (request.method !== 'GET') return { status: 405, body: { error: 'only GET' } }
  if (path === '/api/products') return { status: 200, body: { instance, products } }
  const product = products.find((product) => path === `/api/products/${product.id}`)
  return product && { status: 200, body: { instance, ...product } }
})
