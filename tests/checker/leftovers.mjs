// The judge's rules for requests whose connection ended before the answer. Pure, like judge.mjs.

/** So long the server may take to carry out what waited for its turn: µs. The checker's bursts are worth less than a second of the rate limit. */
const CARRY = 3_000_000;

/** Halts that excuse a burst: while the database is away, nobody hears the refusals; before a stop ends, what was received has to be done or refused. */
const EXCUSES = { left: ['kill', 'stop', 'outage', 'files'], cut: ['kill', 'stop', 'outage', 'files'], stop: ['kill', 'files'] };

/**
 * What the server had received is carried out, or refused to somebody who hears it.
 *
 * A page says so of names (`burst`) once it knows that the server has them: it was answered on that line after it had written them,
 * or it closed a line itself that was in order, after all had been written to it. They were sent once and never again.
 */
export function judgeBursts(bursts, halts, sends, stored, verdict) {
  for (const { at, how, names } of bursts) {
    const begun = Math.min(...names.map((name) => sends.get(name).firstSentAt));
    if (halts.some((halt) => EXCUSES[how].includes(halt.what) && halt.at <= at + CARRY && halt.until >= begun)) continue;
    verdict.counts.bursts += 1;
    for (const name of names) {
      const { id, refusals } = sends.get(name);
      if (id !== undefined || refusals.length > 0 || stored.byName.has(name)) continue;
      verdict.find('dropped', `${name} was received before the end of its connection (${how}), and neither stored nor refused`);
    }
  }
}
