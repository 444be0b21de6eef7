// An operator's hook that is asked about every message and edit: its process, and the rules for what follows from its
// answers. The judge is pure, like judge.mjs.
import { WEBHOOK_SECRET } from '../js/lib/receiver.mjs';
import { BackEndProcess } from './backend-process.mjs';
import { titleFor } from './text.mjs';

/** `HOOK_TIMEOUT` of the server, in ms. */
const HOOK_TIMEOUT = 1_500;

/**
 * Time in µs by which the log's times may differ from the server's, on a busy machine. A question that is repeated later
 * than this before the first one's time is over was asked needlessly.
 */
const LAG = 500_000;

/** Refusals by which a hook, or its lack of an answer, says that nothing has happened. */
export const HOOK_CODES = ['HOOK_REFUSED', 'HOOK_FAILED'];

/** The hook in a process of its own. */
export class HookBackEnd extends BackEndProcess {
  static start(folder) {
    return new HookBackEnd('hook-back-end.mjs', folder).launch();
  }

  /** Settings of the server. */
  settings() {
    return { HOOK_URL: this.url, HOOK_SECRET: WEBHOOK_SECRET, HOOK_EVENTS: 'send,edit', HOOK_TIMEOUT: `${HOOK_TIMEOUT}ms` };
  }

  /** Returns what it was asked, in order: `[{id, title, at, answeredAt?, answer?}]`. */
  questions() {
    const questions = [];
    const open = new Map();
    for (const [kind, at, id, title, answer] of this.lines()) {
      if (kind === 'asked') {
        const question = { id, title, at };
        questions.push(question);
        open.set(id, question);
      } else Object.assign(open.get(id), { answeredAt: at, answer });
    }
    return questions;
  }
}

/** The answers of a run's hook, by the title of the message or edit. */
export class HookAnswers {
  /** `questions`: as the hook's log has them; `undefined`: there was no hook. */
  constructor(questions) {
    this.isThere = questions !== undefined;
    this.byTitle = new Map();
    for (const question of questions ?? []) {
      const { title } = question;
      if (!this.byTitle.has(title)) this.byTitle.set(title, []);
      this.byTitle.get(title).push(question);
    }
  }

  of(title) {
    return this.byTitle.get(title) ?? [];
  }

  /** Returns whether the server may have carried out a message of this name that nobody was answered about. */
  hasAllowed(name) {
    return !this.isThere || this.of(name).some(({ at, answeredAt, answer }) => isYes(answer) && answeredAt - at < HOOK_TIMEOUT * 1_000 - LAG);
  }
}

const isYes = (answer) => answer === 'allow' || answer === 'change';

/**
 * Judges that the server does as its hook says. `halts`: times at which the server, its database or the hook was away,
 * within which a question may be lost and be asked again.
 */
export function judgeHooked(answers, { sends, stored, changes, pages, halts }, verdict) {
  if (!answers.isThere) return;
  const judge = new Judge(answers, verdict);
  for (const [name, { ackedAt }] of sends) if (ackedAt !== undefined) judge.note(name, 0, 'acked', ackedAt);
  for (const { name, requests } of changes.values()) {
    for (const [version, { doneAt }] of requests) if (Number.isFinite(version) && doneAt !== undefined) judge.note(name, version, 'answered with success', doneAt);
  }
  for (const { name, version, isHooked } of stored.byName.values()) judge.note(name, version, 'stored', Infinity, isHooked);
  for (const { name: page, records } of pages) {
    for (const { kind, at, name, version, isHooked } of records) {
      if (kind === 'got' || kind === 'told edit') judge.note(name, version, `seen by ${page}`, at, isHooked);
    }
  }
  judgeRepeats(answers, sends, halts, verdict);
}

class Judge {
  constructor(answers, verdict) {
    Object.assign(this, { answers, verdict });
  }

  /** Judges that something became of a message or an edit; `isHooked`: it had the hook's text. */
  note(name, version, what, at, isHooked) {
    const title = titleFor(name, version);
    const questions = this.answers.of(title);
    const yes = questions.filter(({ answer }) => isYes(answer)).sort((one, other) => one.answeredAt - other.answeredAt)[0];
    if (!yes && questions.some(({ answer }) => answer === 'refuse')) this.verdict.find('refused by the hook', `${title} was ${what}, and the hook had refused it`);
    else if (!yes) this.verdict.find('before its hook', `${title} was ${what}, and the hook never allowed it`);
    else if (at < yes.answeredAt) this.verdict.find('before its hook', `${title} was ${what} at ${at}, and the hook answered at ${yes.answeredAt}`);
    if (isHooked !== undefined && isHooked !== (yes?.answer === 'change')) {
      this.verdict.find('not as the hook said', `${title} was ${what} ${isHooked ? 'with' : 'without'} the hook's text`);
    }
  }
}

/** Checks that nothing is asked about that is being asked about, or that is stored. */
function judgeRepeats(answers, sends, gaps, verdict) {
  for (const [title, questions] of answers.byTitle) {
    const ackedAt = sends.get(title)?.ackedAt ?? Infinity;
    for (const [index, { id, at }] of questions.entries()) {
      verdict.counts.asked += 1;
      if (at > ackedAt + LAG) verdict.find('asked again', `${title} was acked at ${ackedAt}, and asked about at ${at}`);
      const before = questions[index - 1];
      // A request whose connection broke comes again under its id.
      if (!before || before.id === id || gaps.some((gap) => gap.at <= at && gap.until >= before.at)) continue;
      const endsAt = before.answeredAt ?? before.at + HOOK_TIMEOUT * 1_000 - LAG;
      if (at < Math.min(endsAt, before.at + HOOK_TIMEOUT * 1_000 - LAG)) verdict.find('asked again', `${title} was asked about at ${before.at}, and at ${at}, before the answer`);
    }
  }
}
