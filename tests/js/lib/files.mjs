// Files to upload.
import assert from 'node:assert/strict';
import { crc32, deflateSync } from 'node:zlib';

/** A picture of one pixel. */
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** An empty PDF. */
export const PDF = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n');

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

/** A picture of a lake at dusk, for screenshots. */
export const LAKE = paint(480, 360, (x, y) => {
  const far = 190 + 22 * Math.sin(x / 37) + 14 * Math.sin(x / 13 + 2);
  const near = 225 + 10 * Math.sin(x / 61 + 1);
  const sun = Math.hypot(x - 330, y - 120) < 34;
  if (y < far) return sun ? [255, 236, 190] : [250 - y / 3, 190 - y / 4, 150 + y / 6];
  if (y < near) return [92, 74, 110];
  const glint = Math.abs(x - 330) < 40 - (y - 225) / 6 && (y + Math.floor(Math.sin(x / 9) * 3)) % 9 < 3;
  return glint ? [250, 214, 160] : [70 + y / 12, 84 + y / 10, 130 + y / 14];
});

/** Returns a PNG; `colorAt(x, y)` returns `[red, green, blue]`. */
function paint(width, height, colorAt) {
  const rows = Buffer.alloc(height * (width * 3 + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rows.set(colorAt(x, y).map((part) => Math.max(0, Math.min(255, Math.round(part)))), y * (width * 3 + 1) + 1 + x * 3);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const chunk = (type, data) => {
    const whole = Buffer.concat([Buffer.alloc(4), Buffer.from(type), data, Buffer.alloc(4)]);
    whole.writeUInt32BE(data.length, 0);
    whole.writeUInt32BE(crc32(whole.subarray(4, -4)), whole.length - 4);
    return whole;
  };
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}
