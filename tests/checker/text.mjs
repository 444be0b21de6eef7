// The text of a message: its name, and filler derived from the name, so that a reader can tell whether it is complete.
import { Random } from './random.mjs';

/** One in this many messages is long, and comes in several TCP segments. */
const LONG_ONE_IN = 100;
const LONG = 20_000;
const SHORT = 120;

/** Exceeds `MAX_MESSAGE_LENGTH` of the checker's server. */
export const TOO_LONG = 40_000;

/** Returns the text of a message, or of its edit with this number. */
export function textOf(name, version = 0) {
  const title = version === 0 ? name : `${name}~${version}`;
  const random = new Random(title);
  const length = random.between(0, random.oneIn(LONG_ONE_IN) ? LONG : SHORT);
  return `${title} ${'é'.repeat(length)}`;
}

/** Returns the name in a text, and the number of the edit; another name if the text is not intact. */
export function readText(text) {
  const title = text.slice(0, text.indexOf(' '));
  const [name, number] = title.split('~', 2);
  const version = Number(number ?? 0);
  return text === textOf(name, version) ? { name, version } : { name: `altered text of ${title.slice(0, 100)}`, version: 0 };
}
