// The text of a message: its name, and filler that follows from the name, so that whoever reads it can tell whether it is whole.
import { Random } from './random.mjs';

/** Every so many messages, one is long: it comes in several TCP segments. */
const LONG_ONE_IN = 100;
const LONG = 20_000;
const SHORT = 120;

/** More than `MAX_MESSAGE_LENGTH` of the checker's server allows. */
export const TOO_LONG = 40_000;

export function textOf(name) {
  const random = new Random(name);
  const length = random.between(0, random.oneIn(LONG_ONE_IN) ? LONG : SHORT);
  return `${name} ${'é'.repeat(length)}`;
}

/** The name in a text; another one where the text is not as it was written. */
export function nameIn(text) {
  const name = text.slice(0, text.indexOf(' '));
  return text === textOf(name) ? name : `altered text of ${name.slice(0, 100)}`;
}
