// Tells Grapevine of a sale, with the click that led to it. Needs Node 20.11 or newer and no package.
import { createHmac } from 'node:crypto';

/** The value of a cookie in a request's `Cookie` header. gv.js keeps the click in `gv_click`. */
export function cookie(header, name) {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([key]) => key === name)?.[1];
}

/** Posts the sale, signed. Send it again until it answers 200 or 202: the order's id makes sure that it counts once. */
export async function sendConversion({ address, secret, order, value, cookies, userId }) {
  const body = JSON.stringify({
    event_type: 'conversion',
    event_id: `order-${order}`,
    order_id: order,
    conversion_value: value, // a decimal as text: "49.99"
    click_id: cookie(cookies, 'gv_click'), // left out where there was no click
    user_id: userId,
  });
  const signature = createHmac('sha256', secret).update(body).digest('hex');
  const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
  const response = await fetch(address, { method: 'POST', headers, body });
  return { status: response.status, answer: await response.json() };
}

if (import.meta.filename === process.argv[1]) {
  const [address, secret, order, value, cookies, userId] = process.argv.slice(2);
  console.log(JSON.stringify(await sendConversion({ address, secret, order, value, cookies, userId })));
}
