// Dialects of a whole run: a suite can speak a file's dialect in the place of a compiled one.

/** Compiled dialect → the one that speaks in its place: `PARLANCE_TEST_DIALECTS='messenger=messenger-file'`. */
const INSTEAD = new Map((process.env.PARLANCE_TEST_DIALECTS ?? '').split(' ').filter(Boolean).map((pair) => pair.split('=')));

/** Returns the name of the dialect, or names, that is spoken in this one's place. */
export function spokenAs(dialect) {
  if (Array.isArray(dialect)) return dialect.map(spokenAs);
  return INSTEAD.get(dialect) ?? dialect;
}

/** Returns the setting `DIALECTS` with the names that are spoken in the place of others. */
export const settingOf = (names) => names.split(',').map(spokenAs).join(',');
