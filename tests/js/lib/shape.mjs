// Compares whole payloads in which only the server knows some of the values.
import assert from 'node:assert/strict';

/** Placeholders in expected payloads for such a value. */
export const TIME = 'a time';
export const ID = 'an id';
export const MILLIS = 'a number of milliseconds';
export const ERROR_ID = 'the id of a refusal';

const FITS = {
  [TIME]: (value) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
  [ID]: (value) => /^[0-9a-f-]{36}$/.test(value),
  [ERROR_ID]: (value) => /^r-[0-9a-hjkmnp-tv-z]{8}$/.test(value),
  [MILLIS]: (value) => Number.isInteger(value) && value > 0,
};

/** Returns `expected` with the values of `actual` in place of matching placeholders. */
function filled(expected, actual) {
  if (Object.hasOwn(FITS, expected)) return FITS[expected](actual) ? actual : expected;
  if (expected === null || typeof expected !== 'object') return expected;
  if (Array.isArray(expected)) return expected.map((value, index) => filled(value, actual?.[index]));
  return Object.fromEntries(Object.entries(expected).map(([field, value]) => [field, filled(value, actual?.[field])]));
}

/** Asserts equality: no field missing, added or misspelt. */
export function assertLike(actual, expected, message) {
  assert.deepEqual(actual, filled(expected, actual), message);
}
