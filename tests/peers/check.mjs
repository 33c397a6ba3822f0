// Verifies a signed request with its platform's own package, as it would have at a moment in Unix seconds, and prints whether it is valid.
// usage: node check.mjs STRIPE|SHOPIFY SECRET NOW HEADERS PAYLOAD
import { arguments_, limitTime, print } from './arguments.mjs';

const [scheme, secret, now, headers, payload] = arguments_('SCHEME', 'SECRET', 'NOW', 'HEADERS', 'PAYLOAD');
limitTime();

async function stripe(given) {
  const { default: Stripe } = await import('stripe');
  const webhooks = new Stripe('sk_test_none').webhooks;
  try {
    return webhooks.constructEvent(payload, given['stripe-signature'], secret, 300, undefined, Number(now) * 1000).object === 'event';
  } catch {
    return false;
  }
}

async function shopify(given) {
  await import('@shopify/shopify-api/adapters/node');
  const { shopifyApi } = await import('@shopify/shopify-api');
  const api = shopifyApi({
    apiKey: 'key', apiSecretKey: secret, hostName: 'acme.example', apiVersion: '2026-07', isEmbeddedApp: false, logger: { level: 0, log: () => {} },
  });
  const rawRequest = { method: 'POST', url: '/webhooks/x', headers: given };
  const rawResponse = {};
  const found = await api.webhooks.validate({ rawBody: payload, rawRequest, rawResponse });
  return found.valid;
}

await print({ valid: await { STRIPE: stripe, SHOPIFY: shopify }[scheme](JSON.parse(headers)) });
