// The judge's rules for requests whose connection ended before the answer. Pure, like judge.mjs.

/**
 * Time in µs that the server may take to carry out delayed requests. The checker's bursts take less than a second of
 * the rate limit.
 */
const CARRY = 3_000_000;

/**
 * Halts that excuse a burst: while the database or the hook is unavailable, nobody receives the refusals; before a stop
 * ends, everything received has to be carried out or refused.
 */
const EXCUSES = { left: ['kill', 'stop', 'outage', 'files', 'hook'], cut: ['kill', 'stop', 'outage', 'files', 'hook'], stop: ['kill', 'files', 'hook'] };

/**
 * Checks that requests received by the server were carried out, or refused to somebody who receives it. A page reports
 * their names (`burst`) once it knows that the server has them: it got an answer on that connection after writing them,
 * or it closed a working connection itself after everything was written. They were sent once and never again.
 * Where there is a hook, only what it allowed in time counts: nobody receives its refusals, either.
 */
export function judgeBursts(bursts, halts, sends, stored, answers, verdict) {
  for (const { at, how, names } of bursts) {
    const begun = Math.min(...names.map((name) => sends.get(name).firstSentAt));
    if (halts.some((halt) => EXCUSES[how].includes(halt.what) && halt.at <= at + CARRY && halt.until >= begun)) continue;
    verdict.counts.bursts += 1;
    for (const name of names) {
      const { id, refusals } = sends.get(name);
      if (id !== undefined || refusals.length > 0 || stored.byName.has(name) || !answers.hasAllowed(name)) continue;
      verdict.find('dropped', `${name} was received before the end of its connection (${how}), and neither stored nor refused`);
    }
  }
}
