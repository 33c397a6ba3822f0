// Says raw messages on a WebSocket and prints what came back: one line of JSON per message, last the close code.
// MESSAGES is a JSON array: a string is sent as it is, an object as JSON, a number waits so many milliseconds.
// OPTIONS is a JSON object: protocol, origin, headers, bytes (the length of a last message of no meaning).
// usage: node socket.mjs URL MESSAGES OPTIONS
import WebSocket from 'ws';
import { arguments_, limitTime, print } from './arguments.mjs';

const [url, messages, options] = arguments_('URL', 'MESSAGES', 'OPTIONS');
limitTime();
const { protocol = 'graphql-transport-ws', origin, headers, bytes } = JSON.parse(options);
const socket = new WebSocket(url.replace(/^http/, 'ws'), protocol, { origin, headers });
socket.on('message', (data) => print({ message: JSON.parse(data.toString()) }));
socket.on('close', async (code, reason) => {
  await print({ close: code, reason: reason.toString() });
  process.exit();
});
socket.on('unexpected-response', async (_, response) => {
  await print({ status: response.statusCode });
  process.exit();
});
socket.on('error', () => {});
socket.on('open', async () => {
  for (const message of JSON.parse(messages)) {
    if (typeof message === 'number') await new Promise((resolve) => setTimeout(resolve, message));
    else socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }
  if (bytes) socket.send('x'.repeat(bytes));
});
