// Files to upload.
import assert from 'node:assert/strict';

/** A picture of one pixel. */
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** Uploads a file; returns the server's answer: `{status, body}`. */
export function tryUpload(server, token, name, bytes, type = 'application/octet-stream') {
  const form = new FormData();
  form.append('file', new Blob([bytes], { type }), name);
  return server.api('POST', '/api/upload', { token, body: form });
}

/** Uploads a picture; returns `{success, file}`. */
export async function upload(server, token, name, bytes) {
  const { status, body } = await tryUpload(server, token, name, bytes, 'image/png');
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.success, true);
  const { url, ...rest } = body.file;
  assert.match(url, /^\/uploads\/[A-Za-z0-9_-]{16,}\.png$/);
  assert.deepEqual(rest, { filename: name, size: bytes.length, mimetype: 'image/png', messageType: 'image' });
  return body;
}
