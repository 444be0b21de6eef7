// The server's descriptions of its interfaces (docs/interfaces.md): valid, typed, and true on the wire.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Parser } from '@asyncapi/parser';
import { Validator } from '@seriousme/openapi-schema-validator';

import { blocksOf, read } from '../lib/blocks.mjs';
import { closeAfter, open } from '../lib/client.mjs';
import { checkAck, checkAnswer, checkTold, dialects, offsetOf, printed } from '../lib/documents.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const tests = fileURLToPath(new URL('..', import.meta.url));
const FRONT_ENDS = readdirSync(join(tests, 'types'));

/** The front end of docs/interfaces.md, with the names that it has from elsewhere. */
const [{ text: SHOWN }] = blocksOf(read('docs/interfaces.md')).filter(({ language }) => language === 'ts');
const EXAMPLE = `declare const url: string, token: string;\n${SHOWN.replace("'./parlance'", "'parlance'")}`;

/** Returns the compiler's messages about the front ends' scripts with these types. */
async function compile(declarations) {
  const folder = mkdtempSync(join(tmpdir(), 'parlance-types-'));
  try {
    writeFileSync(join(folder, 'parlance.d.ts'), declarations);
    const compilerOptions = {
      strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true,
      target: 'es2022', module: 'nodenext', moduleResolution: 'nodenext', types: [], typeRoots: [],
      paths: { parlance: [join(folder, 'parlance.d.ts')], 'socket.io-client': [join(tests, 'node_modules/sio48/build/esm/index.d.ts')] },
    };
    const files = FRONT_ENDS.map((name) => join(tests, 'types', name));
    files.push(join(folder, 'example.mts'));
    writeFileSync(files.at(-1), EXAMPLE);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [join(folder, 'parlance.d.ts'), ...files] }));
    await promisify(execFile)(process.execPath, [join(tests, 'node_modules/typescript/bin/tsc'), '--project', folder]);
    return '';
  } catch (error) {
    return error.stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('interfaces', () => {
  const holder = useServer({ env: { API_KEYS: 'the-key', STRICT_EVENTS: 'true' } });
  const get = (path, headers) => holder.server.api('GET', path, { headers });

  for (const [path, command, type] of [
    ['/api/openapi.json', 'openapi', 'application/json'],
    ['/api/asyncapi.json', 'asyncapi', 'application/json'],
    ['/api/types.d.ts', 'types', 'text/plain; charset=utf-8'],
  ]) {
    it(`${path} is what \`parlance ${command}\` prints, and is sent once`, async () => {
      const { status, headers, body } = await get(path);
      assert.equal(status, 200);
      assert.equal(headers.get('content-type'), type);
      assert.deepEqual(body, type === 'application/json' ? JSON.parse(printed(command)) : printed(command));
      const tag = headers.get('etag');
      assert.match(tag, /^"[0-9a-f]{32}"$/);
      for (const known of [tag, `"other", W/${tag}`, '*']) assert.equal((await get(path, { 'if-none-match': known })).status, 304, known);
      for (const other of ['"other"', 'nonsense']) assert.equal((await get(path, { 'if-none-match': other })).status, 200, other);
    });
  }

  it('the OpenAPI document is valid', async () => {
    const { body } = await get('/api/openapi.json');
    const validator = new Validator();
    const { valid, errors } = await validator.validate(body);
    assert.ok(valid, JSON.stringify(errors));
    assert.equal(validator.version, '3.1');
  });

  it('the AsyncAPI document is valid', async () => {
    const { body } = await get('/api/asyncapi.json');
    const { diagnostics } = await new Parser().parse(JSON.stringify(body));
    // A newer version of AsyncAPI is no fault: tools read 3.0.
    const faults = diagnostics.filter(({ code }) => code !== 'asyncapi-latest-version');
    assert.deepEqual(faults.map(({ message, path }) => `${path.join('.')}: ${message}`), []);
    assert.deepEqual(Object.keys(body.channels).sort(), ['agent', 'assistant', 'conversation', 'listing', 'messenger']);
  });

  it('the front ends\' scripts compile with the types, and what is wrong in them does not', async () => {
    assert.equal(FRONT_ENDS.length, 5);
    assert.equal(await compile((await get('/api/types.d.ts')).body), '');
  });

  it('the compiler looks: other types are not those', async () => {
    const { body } = await get('/api/types.d.ts');
    const said = await compile(body.replaceAll('new_message', 'another_message'));
    assert.match(said, /messenger\.ts\(\d+,\d+\): error TS2345.*new_message/);
  });

  it('every event of every front end goes over the wire as it is described', async (test) => {
    const { server } = holder;
    const seen = new Map(dialects().map((dialect) => [dialect, new Set()]));
    const enter = async (user, dialect) => {
      const client = open(server, { auth: { token: user.token, dialect } });
      Object.assign(client, { user, spoken: [dialect] });
      client.socket.onAny((event, ...args) => {
        assert.ok(checkTold(event, args[0], [dialect]), `${event} is not described in ${dialect}`);
        const offset = offsetOf(event);
        if (offset !== 'unasked') assert.equal(typeof args.at(-1) === 'string', offset === 'always', event);
        seen.get(dialect).add(event);
      });
      closeAfter(test, client);
      await client.connected();
      return client;
    };
    const [ann, bob] = ['ann', 'bob'].map((name) => newUser(name));
    const rooms = new Map();
    for (const dialect of dialects()) {
      const there = await enter(bob, dialect);
      rooms.set(dialect, there);
    }
    const at = (dialect) => rooms.get(dialect);
    const [messenger, conversation, listing, agent, assistant] = ['messenger', 'conversation', 'listing', 'agent', 'assistant'].map(at);
    const sender = await enter(ann, 'messenger');
    const writer = await enter(ann, 'conversation');
    const post = (path, body, method = 'POST', user = ann) => server.api(method, path, { token: user.token, body });
    const { body: { conversation: group } } = await post('/api/conversations', { type: 'group', name: 'Friends', participants: [bob.id] });
    await conversation.next('conversation:updated');
    const file = (await upload(server, ann.token, 'a.png', PNG)).file;

    // messages to every kind of target, with everything that a message can have
    const { message } = await sender.succeed('send_direct_message', { recipientId: bob.id, content: 'Hi', file, clientMessageId: 'c-1' });
    await sender.succeed('send_group_message', { conversationId: group.id, content: 'Hi all' });
    await conversation.succeed('message:send', { conversationId: group.id, content: 'files', attachments: [], type: 'text', clientMessageId: 'c-2' });
    await post(`/api/conversations/${message.conversationId}/messages`, { content: 'more', file, attachments: [file], listingId: 'flat' });
    await server.api('PUT', '/api/listings/flat', { headers: { 'x-api-key': 'the-key' }, body: { title: 'A flat' } });
    await listing.succeed('sendDirectMessage', { receiverId: ann.id, content: 'Still free?', listingId: 'flat' });
    await agent.succeed('message:send', { targetUserId: ann.id, conversationId: 'ours', content: 'by my name' });
    await post(`/api/messages/${message._id}`, { content: 'edited' }, 'PATCH');
    await messenger.succeed('mark_as_read', { messageId: message._id });
    await sender.next('message_read');
    await writer.next('message:read');
    const again = await sender.succeed('send_direct_message', { recipientId: bob.id, content: 'Hi' });
    await post(`/api/messages/${again.message._id}`, undefined, 'DELETE');
    for (const [client, event] of [[messenger, 'message_deleted'], [conversation, 'message:deleted'], [listing, 'messageDeleted'], [agent, 'message:deleted']]) {
      await client.next(event);
    }

    // events that come and go
    for (const [start, stop] of [['typing_start', 'typing_stop']]) {
      await sender.succeed(start, { conversationId: group.id });
      await messenger.next('user_typing');
      await sender.succeed(stop, { conversationId: group.id });
      await messenger.next('user_stopped_typing');
    }
    await sender.succeed('join_group', group.id);
    await messenger.next('user_joined_group');
    await sender.succeed('leave_group', group.id);
    await messenger.next('user_left_group');
    await conversation.succeed('conversation:join', group.id);
    await conversation.succeed('conversation:leave', group.id);
    for (const status of ['away', 'offline', 'online']) await conversation.succeed('user:status', status);
    await conversation.succeed('message:read', { messageId: message._id });
    await conversation.succeed('typing:start', { conversationId: group.id });
    await conversation.succeed('typing:stop', { conversationId: group.id });
    await conversation.succeed('authenticate', { token: bob.token });

    // rooms
    await listing.succeed('setupUser', {});
    for (const [event, ...args] of [
      ['joinCommonChat'], ['sendCommonChatMessage', { content: 'Hello all' }], ['leaveCommonChat'],
      ['joinRoom', 7], ['sendRoomMessage', { roomId: 7, content: 'Hello' }], ['leaveRoom', 7],
    ]) await listing.succeed(event, ...args);
    await listing.next('leftRoom');
    await messenger.succeed('join_room', 'square');
    await sender.succeed('send_room_message', { roomId: 'square', content: 'Hello' });
    await messenger.next('new_room_message');
    await messenger.succeed('leave_room', 'square');

    // lists
    for (const event of ['notification:get', 'connection:get', 'conversation:get']) await agent.succeed(event, {});
    await server.api('POST', '/api/notifications', { headers: { 'x-api-key': 'the-key' }, body: { userId: bob.id, type: 'sale', message: 'Sold', data: { price: 7 } } });
    await conversation.next('notification:new');
    await agent.succeed('notification:get', {});

    // the model
    await assistant.succeed('ai-message', { chatId: 'c-1', chat: { any: 'thing' }, content: 'Why?', stream: true });
    await assistant.next('ai-response');
    await messenger.succeed('send_direct_message', { recipientId: 'model', content: 'Why?', stream: true });
    await messenger.next('answer_piece', ({ done }) => done);

    // refusals, by acks and by events
    for (const [client, event, payload] of [
      [messenger, 'send_direct_message', {}], [conversation, 'message:send', {}], [listing, 'sendRoomMessage', {}],
      [agent, 'message:send', {}], [assistant, 'ai-message', {}],
    ]) {
      await client.refused('INVALID_PAYLOAD', event, payload);
      client.tell(event, payload);
      const { [event]: told = 'error' } = { 'ai-message': 'ai-error', ...(client === agent && { 'message:send': 'message:receive' }) };
      await client.next(told, ({ code }) => code === 'INVALID_PAYLOAD');
      client.tell('no such event');
      await client.next('error', ({ code }) => code === 'UNKNOWN_EVENT');
    }
    await post(`/api/conversations/${group.id}`, undefined, 'DELETE');
    await conversation.next('conversation:deleted');
    for (const client of [sender, writer]) client.close();
    await messenger.next('user_offline');
    await conversation.next('user:offline');

    for (const [dialect, events] of seen) {
      const told = Object.values(JSON.parse(printed('asyncapi')).channels[dialect].messages).filter((described) => 'x-offset' in described);
      const unseen = told.map(({ name }) => name).filter((name) => !events.has(name));
      // Equal to others that came, but for absent users, or sent only if the connection gets no greeting.
      assert.deepEqual(unseen.filter((name) => !['message_delivered', 'recovery:seed', 'guest'].includes(name)), [], dialect);
    }
  });

  it('what is not as it is described is found', async () => {
    const shown = { conversationId: '01890a5d-ac96-774b-bcce-b302099a8057', messageId: '01890a5d-ac96-774b-bcce-b302099a8058' };
    assert.ok(checkTold('message_deleted', shown, ['messenger']));
    assert.throws(() => checkTold('message_deleted', { ...shown, by: 'ann' }, ['messenger']), /additional properties/);
    assert.throws(() => checkTold('message_deleted', { ...shown, messageId: 7 }, ['messenger']), /must be string/);
    assert.throws(() => checkTold('message_deleted', { messageId: shown.messageId }, ['messenger']), /required property 'conversationId'/);
    assert.throws(() => checkAck('mark_as_read', { success: false, error: 'No', code: 'NO' }, ['messenger']), /allowed values/);
    const { headers } = await get('/healthz');
    assert.throws(() => checkAnswer('GET', '/healthz', { status: 200, headers, body: { success: true } }), /required property 'status'/);
    assert.throws(() => checkAnswer('GET', '/healthz', { status: 418, headers, body: {} }), /is not in the document/);
  });
});

it('there is a script for every dialect', () => {
  assert.deepEqual(FRONT_ENDS.map((name) => name.replace('.ts', '')).sort(), dialects().sort());
  for (const name of FRONT_ENDS) assert.ok(readFileSync(join(tests, 'types', name), 'utf8').split('@ts-expect-error').length > 5, name);
});
