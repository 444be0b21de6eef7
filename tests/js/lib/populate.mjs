// Fills an SQLite file with years of data in a moment: rows of every kind, with awkward texts. By hand: `node
// tests/js/lib/populate.mjs FILE MESSAGES`, after `parlance migrate up`.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Fills `file`, which has the tables of this version and is otherwise empty. */
export function populate(file, messages) {
  execFileSync('sqlite3', ['-bail', file], { input: sql(messages), stdio: ['pipe', 'ignore', 'inherit'] });
}

/** Milliseconds since 1970 of the first message. */
const START = 1_700_000_000_000;

function sql(messages) {
  const users = Math.max(20, Math.round(messages / 200));
  const conversations = Math.max(20, Math.round(messages / 60));
  const uuid = (number, kind = 0) => `printf('%08x-%04x-7000-8000-%012x', (${START} + ${number} * 1000) >> 16, (${START} + ${number} * 1000) & 65535, ${kind} * 1000000000 + ${number})`;
  const numbers = (count) => `(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n)`;
  const user = (number) => `'user-' || ((${number}) % ${users} + 1)`;
  const conversation = (number) => uuid(`((${number}) % ${conversations} + 1)`, 1);
  return `
PRAGMA synchronous = OFF;
PRAGMA foreign_keys = ON;
BEGIN;
INSERT INTO users (id, username, username_key, email, email_key, password_hash, full_name, avatar, search_text, role, status, last_seen, disabled, tokens_valid_from, kept_login, created_at)
SELECT 'user-' || i, 'User ' || i, 'user ' || i, iif(i % 3 = 0, NULL, 'u' || i || '@example.org'), iif(i % 3 = 0, NULL, 'u' || i || '@example.org'),
  iif(i % 4 = 0, NULL, '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$' || hex(randomblob(16))), iif(i % 2 = 0, 'Zoë 🦊 ' || i, NULL), iif(i % 5 = 0, '/uploads/a' || i || '.png', NULL),
  'user ' || i || char(10), iif(i = 7, 'admin', 'user'), 'online', iif(i % 2 = 0, ${START} + i, NULL), i % 50 = 0, iif(i % 9 = 0, ${START}, NULL), iif(i % 9 = 0, 'login-' || i, NULL), ${START} + i
FROM ${numbers(users)};

UPDATE users SET described_at = created_at WHERE tokens_valid_from IS NOT NULL;

INSERT INTO logins (id, user_id, begun_at, used_at, expires_at, address, agent)
SELECT ${uuid('i', 5)}, ${user('i')}, ${START} + i, ${START} + 2 * i, ${START} + 3 * i, iif(i % 2 = 0, '2001:db8::1', NULL), iif(i % 3 = 0, NULL, 'Browser/1 "é"')
FROM ${numbers(20)};

INSERT INTO audit_log (id, done_at, actor, action, object, address, times)
SELECT ${uuid('i', 4)}, ${START} + i, iif(i % 2 = 0, 'key:shop', 'command line'), 'PATCH /api/admin/users/{id}', iif(i % 3 = 0, NULL, ${user('i')} || ' (disabled: true)'), iif(i % 2 = 0, '2001:db8::1', NULL), i
FROM ${numbers(20)};

INSERT INTO conversations (id, kind, name, avatar, admin, direct_key, last_seq, last_position, created_at, updated_at)
SELECT ${uuid('i', 1)}, CASE WHEN i % 5 = 0 THEN 'group' WHEN i % 7 = 0 THEN 'ai' ELSE 'direct' END, iif(i % 5 = 0, 'Group "' || i || '" 👩‍👩‍👧‍👦', NULL), NULL,
  iif(i % 5 = 0, ${user('i')}, NULL), iif(i % 5 <> 0 AND i % 7 <> 0, ${user('i')} || char(10) || ${user(`i + 1 + i / ${users}`)}, NULL), 0, 0, ${START} + i, ${START} + i
FROM ${numbers(conversations)};

-- Conversations that were deleted, and whose messages have not all gone.
INSERT INTO deleted_places (place) SELECT ${uuid('i', 6)} FROM ${numbers(3)};

INSERT INTO participants (conversation, user_id, delivered_seq, read_seq, joined_at, joined_rank, joined_position, left_at)
SELECT ${uuid('c.i', 1)}, ${user(`c.i + iif(k.i = 1, 0, k.i - 1 + iif(c.i % 5 = 0, 0, c.i / ${users}))`)}, c.i % 3, c.i % 2, ${START} + c.i, k.i, 0, iif(c.i % 5 = 0 AND k.i = 6, ${START} + 9, NULL)
FROM ${numbers(conversations)} AS c, ${numbers(8)} AS k
WHERE k.i <= CASE WHEN c.i % 5 = 0 THEN 8 WHEN c.i % 7 = 0 THEN 1 ELSE 2 END;

INSERT INTO conversation_names (owner, name, conversation, named_at)
SELECT ${user('i')}, 'name ' || i || ' Ω' || char(10), ${uuid('i', 1)}, ${START} + i FROM ${numbers(conversations)} WHERE i % 11 = 0;

CREATE TEMP TABLE texts (k INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO texts VALUES (0, '👩‍👩‍👧‍👦 with a family'), (1, char(65533) || ' stood where something unreadable was'), (2, '"quoted" \\back\\slashed' || char(10) || char(9) || char(13)),
  (3, 'plain words, as most messages are: see you at eight?'), (4, ''), (5, 'control ' || char(1) || char(31) || char(127) || char(133)), (6, 'line ' || char(8232) || ' separators ' || char(8233)),
  (7, 'שלום عالم नमस्ते 你好 ' || char(0x10FFFF)), (8, '{"messages":{"id":"no row"}}'), (9, '{"end":{}}');

INSERT INTO messages (id, place, seq, position, sender, created_at, updated_at, deleted_at, role, message_type, listing_id, client_message_id, request_hash, sent_by, file, attachments, content, chat)
SELECT ${uuid('i', 2)}, place, row_number() OVER (PARTITION BY place ORDER BY i), i, iif(i % 70 = 3, 'model', ${user('i')}), ${START} + i * 1000, ${START} + i * 1000 + iif(i % 17 = 0, 500, 0),
  iif(i % 31 = 0, ${START} + i * 1000 + 700, NULL), iif(i % 70 = 3, 'model', 'user'), iif(i % 23 = 0, 'image', 'text'), iif(i % 29 = 0, 'listing-' || (i % 10), NULL), iif(i % 2 = 0, 'client ' || i, NULL),
  iif(i % 2 = 0, randomblob(32), NULL), iif(i % 6 <> 0, randomblob(32), NULL),
  iif(i % 23 = 0, json_object('url', '/uploads/f' || i || '.png', 'filename', 'ä "' || i || '".png', 'size', i, 'mimetype', 'image/png', 'messageType', 'image'), NULL),
  iif(i % 41 = 0, json_array(json_object('url', '/uploads/g' || i || '.pdf', 'filename', 'g.pdf', 'size', i, 'mimetype', 'application/pdf', 'messageType', 'file')), NULL),
  CASE WHEN i % 31 = 0 THEN '' WHEN i % 5000 = 1 THEN replace(hex(zeroblob(100000)), '00', 'äß€') ELSE (SELECT text FROM texts WHERE k = i % 10) || i END, iif(i % 70 = 3, json_object('chat', i), NULL)
FROM (SELECT i, CASE WHEN i % 50 = 0 THEN 'room:hall ' || (i % 3) WHEN i % 53 = 0 THEN 'common-chat' ELSE ${conversation('i * 7')} END AS place FROM ${numbers(messages)});

UPDATE conversations SET (last_seq, last_position, updated_at) = (SELECT max(seq), max(position), max(created_at) FROM messages WHERE place = conversations.id)
WHERE id IN (SELECT place FROM messages);
INSERT INTO rooms (place, last_seq, last_position, created_at, updated_at)
SELECT place, max(seq), max(position), min(created_at), max(created_at) FROM messages WHERE place LIKE 'room:%' OR place = 'common-chat' GROUP BY place;

INSERT INTO message_reads (message, user_id, read_at) SELECT ${uuid('i', 2)}, ${user('i + 1')}, ${START} + i * 1000 + 900 FROM ${numbers(messages)} WHERE i % 4 = 0;
INSERT INTO notifications (id, user_id, kind, message, data, conversation, seen_at, read_at, created_at)
SELECT ${uuid('i', 3)}, ${user('i')}, 'message', 'New message 🔔 ' || i, iif(i % 2 = 0, json_object('messageId', i), NULL), NULL, iif(i % 3 = 0, ${START} + i, NULL), iif(i % 6 = 0, ${START} + i, NULL), ${START} + i * 1000
FROM ${numbers(messages)} WHERE i % 20 = 0;
INSERT INTO uploads (url, owner, filename, size, mimetype, message_type, uploaded_at)
SELECT '/uploads/f' || i || '.png', ${user('i')}, 'ä "' || i || '".png', i, 'image/png', 'image', ${START} + i * 1000 FROM ${numbers(messages)} WHERE i % 23 = 0;
INSERT INTO listings SELECT 'listing-' || i, 'Bike 🚲 ' || i, ${START} + i FROM ${numbers(10)};
INSERT INTO revoked_tokens SELECT 'key-' || i, ${START} * 2 + i FROM ${numbers(50)};
INSERT INTO boots (id, started_at, last_position) SELECT i, ${START} + i, i * 10 FROM ${numbers(5)};
COMMIT;
PRAGMA wal_checkpoint(TRUNCATE);
ANALYZE;
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) populate(process.argv[2], Number(process.argv[3]));
