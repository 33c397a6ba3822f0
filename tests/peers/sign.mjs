// Signs a payload as its platform does, with the platform's own package, and prints the headers.
// usage: node sign.mjs STRIPE|SHOPIFY SECRET TIMESTAMP PAYLOAD
import { arguments_, limitTime, print } from './arguments.mjs';

const [scheme, secret, timestamp, payload] = arguments_('SCHEME', 'SECRET', 'TIMESTAMP', 'PAYLOAD');
limitTime();

async function stripe() {
  const { default: Stripe } = await import('stripe');
  const header = new Stripe('sk_test_none').webhooks.generateTestHeaderString({ payload, secret, timestamp: Number(timestamp) });
  return { 'stripe-signature': header };
}

async function shopify() {
  await import('@shopify/shopify-api/adapters/node');
  const { createSHA256HMAC, HashFormat } = await import('@shopify/shopify-api/runtime');
  return { 'x-shopify-hmac-sha256': await createSHA256HMAC(secret, payload, HashFormat.Base64) };
}

await print(await { STRIPE: stripe, SHOPIFY: shopify }[scheme]());
