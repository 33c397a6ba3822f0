// Signs a payload with npm standardwebhooks and posts it, and prints the status and the answer.
// usage: node webhook.mjs URL SECRET ID TIMESTAMP PAYLOAD
import { Webhook } from 'standardwebhooks';
import { arguments_, limitTime, print } from './arguments.mjs';

const [url, secret, id, timestamp, payload] = arguments_('URL', 'SECRET', 'ID', 'TIMESTAMP', 'PAYLOAD');
limitTime();
const headers = {
  'webhook-id': id,
  'webhook-timestamp': timestamp,
  'webhook-signature': new Webhook(secret).sign(id, new Date(Number(timestamp) * 1000), payload),
};
const response = await fetch(url, { method: 'POST', headers, body: payload });
await print({ status: response.status, answer: await response.json() });
