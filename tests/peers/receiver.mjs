// Receives webhooks, verifies each with npm standardwebhooks, and prints one line of JSON per request; first of all its port. A line of
// JSON on standard input sets what it names and is answered by {"set":true}: now (Unix seconds), secret, answers (the statuses of the next
// requests, of which the last one stays; 0 gives none), release (answers 200 to all that wait for one).
// usage: node receiver.mjs
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Webhook } from 'standardwebhooks';
import { limitTime, print } from './arguments.mjs';

process.env.PEER_TIMEOUT_MS ??= '120000';
limitTime();
let [now, secret, answers, waiting] = [0, '', [200], []];
Date.now = () => now * 1000;

function verified(body, headers) {
  try {
    new Webhook(secret).verify(body, headers);
    return { valid: true };
  } catch (error) {
    return { valid: false, error: error.message };
  }
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const { headers, method, url } = request;
  const status = answers.length > 1 ? answers.shift() : answers[0];
  const signatures = (headers['webhook-signature'] ?? '').split(' ').length;
  const id = headers['webhook-id'];
  const sent_at = Number(headers['webhook-timestamp']);
  await print({ method, url, id, sent_at, signatures, status, ...verified(body, headers), body: JSON.parse(body) });
  if (status === 0) waiting.push(response);
  else response.writeHead(status, { location: '/elsewhere' }).end('noted');
});
// A connection that ends while the next request is on its way would be a failure that no test means.
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => print({ port: server.address().port }));

for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  now = told.now ?? now;
  secret = told.secret ?? secret;
  answers = told.answers ?? answers;
  if (told.release) waiting.splice(0).forEach((response) => response.writeHead(200).end());
  await print({ set: true });
}
process.exit();
