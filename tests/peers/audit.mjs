// Runs every server audit of npm graphql-http against a URL with a key, and prints what did not pass.
// usage: node audit.mjs URL KEY
import { serverAudits } from 'graphql-http';
import { arguments_, limitTime, print } from './arguments.mjs';

const [url, key] = arguments_('URL', 'KEY');
limitTime();
const fetchFn = (input, init = {}) =>
  fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } });
const results = await Promise.all(serverAudits({ url, fetchFn }).map((audit) => audit.fn()));
const failures = results
  .filter((result) => result.status !== 'ok')
  .map(({ id, name, status, reason }) => ({ id, name, status, reason }));
await print({ total: results.length, passed: results.length - failures.length, failures });
