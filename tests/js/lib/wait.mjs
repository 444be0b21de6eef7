// Waiting with a limit: no test sleeps, none waits for ever.

/** Time limit of one step, ms. Generous, because other suites may keep the machine busy. */
export const LIMIT = 20_000;

/**
 * Returns the result of `promise`, or throws an error that names `what` after `limit` ms. `what` may be a function,
 * called on a time-out.
 */
export async function within(limit, what, promise) {
  let timer;
  const tooLate = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited ${limit} ms for ${typeof what === 'function' ? what() : what}`));
    }, limit);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Same as `within`, for something in many steps: `limit` is the time from one to the next. `act(step)` calls `step` at
 * each.
 */
export async function steadily(limit, what, act) {
  let timer;
  let fail;
  const tooLate = new Promise((_, reject) => {
    fail = reject;
  });
  const step = () => {
    clearTimeout(timer);
    timer = setTimeout(() => fail(new Error(`waited ${limit} ms for ${what()}`)), limit);
  };
  step();
  try {
    return await Promise.race([act(step), tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `task(0) … task(count - 1)`, at most `window` at a time; returns their results in order. */
export async function pipelined(count, window, task) {
  const results = new Array(count);
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      results[index] = await task(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(window, count) }, lane));
  return results;
}
