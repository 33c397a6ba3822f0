// Reads the schema as every GraphQL tool does, with graphql-js's own introspection query, and prints how many types it has.
// usage: node introspect.mjs URL KEY
import { buildClientSchema, getIntrospectionQuery } from 'graphql';
import { arguments_, limitTime, print } from './arguments.mjs';

const [url, key] = arguments_('URL', 'KEY');
limitTime();
const options = { descriptions: true, specifiedByUrl: true, directiveIsRepeatable: true, inputValueDeprecation: true, oneOf: true };
const query = getIntrospectionQuery(options);
const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
const { data, errors } = await response.json();
await print(errors ? { errors } : { types: Object.keys(buildClientSchema(data).getTypeMap()).length });
