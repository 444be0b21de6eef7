// The server's descriptions of its interfaces, and checks of its messages against them.
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';

import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

import { BINARY } from './binary.mjs';

/** Returns the output of `parlance NAME`. */
export const printed = (name) => execFileSync(BINARY, [name], { cwd: tmpdir(), env: { PATH: process.env.PATH }, encoding: 'utf8', maxBuffer: 2 ** 24 });

const documents = {};
const document = (name) => (documents[name] ??= JSON.parse(printed(name)));

const ajv = formats.default(new Ajv2020({ strict: false, allErrors: true }));

/** Set in suites with a hook, which refuses with codes of its own. */
export const hooked = { codes: false };
const isOfHook = (part) => part?.description === 'A code of the operator\'s hook';

/** Returns the schema without permission for further fields. */
function closed(schema, isPart = false) {
  if (Array.isArray(schema)) return schema.filter((part) => hooked.codes || !isOfHook(part)).map((part) => closed(part));
  if (schema === null || typeof schema !== 'object') return schema;
  const entries = Object.entries(schema).map(([name, value]) => [name, name === 'allOf' ? value.map((part) => closed(part, true)) : closed(value)]);
  const copy = Object.fromEntries(entries);
  return copy.properties && !isPart && !('additionalProperties' in copy) ? { ...copy, additionalProperties: false } : copy;
}

const validators = new Map();

/** Returns why `value` violates the schema that `find` returns; `undefined` if it does not. `key` names the schema. */
function unlike(name, key, find, value) {
  if (!validators.has(key)) {
    const schema = find();
    validators.set(key, schema && ajv.compile(closed({ ...schema, components: document(name).components })));
  }
  const validate = validators.get(key);
  if (!validate || validate(value)) return undefined;
  const errors = validate.errors.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
  return `${key} is not as \`parlance ${name}\` has it: ${errors.join('; ')}\n${JSON.stringify(value).slice(0, 2_000)}`;
}

// ---- Socket.IO ----

/** Returns a dialect's messages: kind (`told`, `asked`, `ack`) and name → the message in the document. */
const messages = (dialect) => document('asyncapi').channels[dialect].messages;
const keyOf = (kind, event) => `${kind}.${event.replaceAll(':', '-')}`;
export const dialects = () => Object.keys(document('asyncapi').channels);

/** Returns those of the spoken dialects that have such a message. */
const speakers = (kind, event, spoken) => (spoken ?? dialects()).filter((dialect) => Object.hasOwn(messages(dialect), keyOf(kind, event)));

/** Another server's event has a format of its own. */
const worded = (payload) => typeof payload?.id !== 'string' || !('createdAt' in payload);

/** Throws if no spoken dialect has such a message; `spoken` defaults to all. Other servers' own events pass. */
function check(kind, event, value, spoken) {
  const found = speakers(kind, event, spoken);
  if (found.length === 0 || (event === 'notification:new' && worded(value))) return found.length > 0;
  const faults = found.map((dialect) => {
    const message = messages(dialect)[keyOf(kind, event)];
    return unlike('asyncapi', `${kind} ${event} (${dialect})`, () => message.payload, value);
  });
  if (faults.every(Boolean)) throw new Error(faults.join('\n'));
  return true;
}

/** Checks an event that a client received; returns whether any dialect has it. */
export const checkTold = (event, value, spoken) => check('told', event, value, spoken);

/** Returns whether such an event is described. */
export const isTold = (event, dialect) => speakers('told', event, [dialect]).length > 0;

/** Checks an ack. */
export const checkAck = (event, value, spoken) => check('ack', event, value, spoken);

/** Returns whether such an event has a recovery offset: `always`, `unasked` or `never`. */
export const offsetOf = (event) => messages(speakers('told', event)[0])[keyOf('told', event)]['x-offset'];

// ---- HTTP ----

const patterns = () => (documents.patterns ??= Object.keys(document('openapi').paths)
  // Literal segments come before placeholders.
  .sort((one, other) => one.split('{').length - other.split('{').length)
  .map((path) => ({ path, pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`) })));

/** Throws if the answer to a request is not in the document. Unknown paths and methods pass. */
export function checkAnswer(method, path, { status, body, headers }) {
  const found = patterns().find(({ pattern }) => pattern.test(path.split('?')[0]));
  const operation = found && document('openapi').paths[found.path][method === 'HEAD' ? 'get' : method.toLowerCase()];
  if (!operation || method === 'HEAD') return;
  const what = `${method} ${found.path} ${status}`;
  const response = operation.responses[status];
  if (!response) throw new Error(`${what} is not in the document: ${JSON.stringify(body)}`);
  const type = headers.get('content-type')?.split(';')[0];
  const content = response.content?.[type] ?? response.content?.['*/*'];
  if (type && !content) throw new Error(`${what} is not of type ${type} in the document`);
  const fault = content?.schema && unlike('openapi', what, () => content.schema, body);
  if (fault) throw new Error(fault);
}

// ---- requests to the operator's own server ----

/** Returns why a request is not as OpenAPI's `webhooks` has it; `undefined` if it is. `setting` is `hook`, `forward`, … */
export function unlikeCall(setting, body) {
  const name = `${setting}.${body.type}`;
  const call = document('openapi').webhooks[name];
  if (!call) return `${name} is no request of \`parlance openapi\``;
  return unlike('openapi', name, () => call.post.requestBody.content['application/json'].schema, body);
}
