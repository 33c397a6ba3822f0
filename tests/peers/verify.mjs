// Verifies a signed request with npm standardwebhooks, as it would have at a moment in Unix seconds, and prints whether it is valid.
// usage: node verify.mjs SECRET NOW HEADERS PAYLOAD
import { Webhook } from 'standardwebhooks';
import { arguments_, limitTime, print } from './arguments.mjs';

const [secret, now, headers, payload] = arguments_('SECRET', 'NOW', 'HEADERS', 'PAYLOAD');
limitTime();
Date.now = () => Number(now) * 1000;
try {
  new Webhook(secret).verify(payload, JSON.parse(headers));
  await print({ valid: true });
} catch (error) {
  await print({ valid: false, error: error.message });
}
