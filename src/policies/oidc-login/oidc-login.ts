// Signs people in at an OpenID provider, and keeps who they are in a sealed cookie.
import { definePolicy } from '../../proxy/pipeline/policy.ts'
import { tokenCredentials } from '../token-consumer.ts'
import { BrowserGate } from './browser-gate.ts'
import { GatewayCookies } from './gateway-cookies.ts'
import { settings } from './settings.ts'

export const oidcLogin = definePolicy({
  name: 'oidc-login',
  summary: 'Signs people in at an OpenID provider, with a session in a sealed cookie.',
  settings,
  offline: false,
  provides: ['consumer'],
  identityHeaders: ({ forward }) => Object.keys(forward),
  credentialPlaces: ({ cookie, publicUrl }) => {
    const { prefix } = new GatewayCookies(cookie, publicUrl.startsWith('https:'))
    return [`cookie:${prefix}0`]
  },
  credentials: ({ issuer, consumer }) => tokenCredentials(consumer, [issuer]),
  examples: [
    {
      issuer: 'https://id.example/',
      clientId: 'shop',
      clientSecret: 'a-secret',
      publicUrl: 'https://shop.example',
      secret: '0123456789abcdef0123456789abcdef',
    },
    {
      issuer: 'http://127.0.0.1:9000/realms/shop',
      clientId: 'shop',
      clientSecret: 'a-secret',
      publicUrl: 'http://localhost:8080',
      secret: ['fedcba9876543210fedcba9876543210', '0123456789abcdef0123456789abcdef'],
      scopes: ['openid', 'profile', 'offline_access'],
      callbackPath: '/app/callback',
      logoutPath: '/app/logout',
      forward: { 'x-user': 'sub', 'x-mail': 'email' },
      forwardAccessToken: true,
      lifetime: '12h',
    },
  ],
  create(written, environment) {
    const gate = new BrowserGate(written, environment)
    return {
      onRequest: (exchange) => gate.decide(exchange),
      onResponse: (exchange) => gate.keepRefreshed(exchange),
    }
  },
})
