// Runs one operation with npm graphql-sse in distinct connections mode and prints each result as one line of JSON.
// usage: node stream.mjs URL KEY QUERY VARIABLES COUNT
import { createClient } from 'graphql-sse';
import { arguments_, limitTime, print } from './arguments.mjs';

const [url, key, query, variables, count] = arguments_('URL', 'KEY', 'QUERY', 'VARIABLES', 'COUNT');
limitTime();
const client = createClient({ url, headers: { authorization: `Bearer ${key}` }, retryAttempts: 0 });
let received = 0;
try {
  for await (const result of client.iterate({ query, variables: JSON.parse(variables) })) {
    await print(result);
    received += 1;
    if (received >= Number(count)) break;
  }
} catch (error) {
  console.error(JSON.stringify({ message: error.message, status: error.response?.status }));
  process.exitCode = 1;
}
client.dispose();
process.exit();
