// Repeatable random numbers: the same seed draws the same numbers.

/** A source of random numbers. */
export class Random {
  /** `seed` is any text or number. */
  constructor(seed) {
    // FNV-1a spreads similar seeds.
    this.state = 0x811c9dc5;
    for (const character of String(seed)) this.state = Math.imul(this.state ^ character.codePointAt(0), 0x01000193) >>> 0;
  }

  /** Returns a number from 0 up to 1 (mulberry32). */
  number() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  }

  /** Returns an integer from `low` to `high`, inclusive. */
  between(low, high) {
    return low + Math.floor(this.number() * (high - low + 1));
  }

  /** Returns `true` once in `count` times on average. */
  oneIn(count) {
    return this.number() * count < 1;
  }

  /** Returns an element of `list`. */
  pick(list) {
    return list[Math.floor(this.number() * list.length)];
  }

  /** Returns a key of `weights`, with a probability by its weight. */
  weighted(weights) {
    let left = this.number() * Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    for (const [key, weight] of Object.entries(weights)) if ((left -= weight) < 0) return key;
    return Object.keys(weights).at(-1);
  }
}
