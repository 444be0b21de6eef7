// The text of a message: its title, and filler derived from that, so that a reader can tell whether it is complete. The
// title is the message's name, with the number of an edit or a mark of the hook's text.
import { Random } from './random.mjs';

/** One in this many messages is long, and comes in several TCP segments. */
const LONG_ONE_IN = 100;
const LONG = 20_000;
const SHORT = 120;

/** Exceeds `MAX_MESSAGE_LENGTH` of the checker's server. */
export const TOO_LONG = 40_000;

/** Marks a text that the hook has put in place of a message's. */
const HOOKED = '!';

/** Returns the title of a message, or of its edit with this number. */
export const titleFor = (name, version = 0) => (version === 0 ? name : `${name}~${version}`);

/** Returns the title in a text. */
export const titleOf = (text) => text.slice(0, text.indexOf(' '));

function fill(title) {
  const random = new Random(title);
  const length = random.between(0, random.oneIn(LONG_ONE_IN) ? LONG : SHORT);
  return `${title} ${'é'.repeat(length)}`;
}

/** Returns the text of a message, or of its edit with this number. */
export const textOf = (name, version = 0) => fill(titleFor(name, version));

/** Returns the text that the hook puts in place of a message's. */
export const hookedText = (name) => fill(`${name}${HOOKED}`);

/** Returns the name in a text, the number of the edit, and whether it is the hook's; another name if the text is not intact. */
export function readText(text) {
  const title = titleOf(text);
  if (text !== fill(title)) return { name: `altered text of ${title.slice(0, 100)}`, version: 0, isHooked: false };
  const isHooked = title.endsWith(HOOKED);
  const [name, number] = (isHooked ? title.slice(0, -HOOKED.length) : title).split('~', 2);
  return { name, version: Number(number ?? 0), isHooked };
}
