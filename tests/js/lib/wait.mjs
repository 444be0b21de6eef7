// Waiting with a limit: no test sleeps, none waits for ever.

/** How long one step may take, ms. Generous: the machine may be busy with other suites. */
export const LIMIT = 20_000;

/** What `promise` gives, or an error that names `what` after `limit` ms. `what` may be a function, called when it is too late. */
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

/** As `within`, for what comes in many steps: `limit` is the time from one to the next. `act(step)` calls `step` at each. */
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

/** Runs `task(0) … task(count - 1)`, at most `window` of them at a time; their results in order. */
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
