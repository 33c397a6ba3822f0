// Runs one operation with npm graphql-ws and prints each result as one line of JSON; ends after COUNT of them, or when the
// server completes. To resume, pass the last cursor as the query's own `after` in VARIABLES.
// usage: node subscribe.mjs URL KEY QUERY VARIABLES COUNT
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { arguments_, limitTime, print } from './arguments.mjs';

const [url, key, query, variables, count] = arguments_('URL', 'KEY', 'QUERY', 'VARIABLES', 'COUNT');
limitTime();
const client = createClient({
  url: url.replace(/^http/, 'ws'),
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${key}` },
  retryAttempts: 0,
});
let received = 0;
try {
  for await (const result of client.iterate({ query, variables: JSON.parse(variables) })) {
    await print(result);
    received += 1;
    if (received >= Number(count)) break;
  }
} catch (error) {
  // A close event says its code, anything else its message.
  console.error(JSON.stringify({ code: error.code, reason: error.reason, message: error.message }));
  process.exitCode = 1;
}
await client.dispose();
process.exit();
