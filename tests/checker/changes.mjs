// The judge's rules for edits and deletions. Pure, like judge.mjs.
import { HOOK_CODES } from './hooks.mjs';

/** Refusals which mean that nothing has changed. */
const UNCHANGED = new Set(['STORAGE_UNAVAILABLE', 'RATE_LIMITED', 'DRAINING', ...HOOK_CODES]);

/** Records of events, which carry an offset. */
const SHOWN = new Set(['got', 'told edit', 'told deletion', 'delivered']);

/** Version of a deletion: above that of every edit. */
export const DELETED = Infinity;

/** Adds a request to change a message, or its answer, to `changes`: name → `{name, id, requests: Map(version → {askedAt, doneAt?, code?})}`. */
export function addChange(changes, { kind, at, name, id, version, code }, verdict) {
  if (kind === 'edit' || kind === 'delete') {
    if (!changes.has(name)) changes.set(name, { name, id, requests: new Map() });
    changes.get(name).requests.set(kind === 'edit' ? version : DELETED, { askedAt: at });
    verdict.counts[kind === 'edit' ? 'edits' : 'deletions'] += 1;
    return;
  }
  const request = changes.get(name).requests.get(version ?? DELETED);
  if (kind === 'changed') request.doneAt = at;
  else request.code = code;
}

const isRefused = ({ code }) => UNCHANGED.has(code);

/** Returns whether the message may be gone: its deletion was requested and not refused. */
export function mayBeDeleted(change) {
  const request = change?.requests.get(DELETED);
  return request !== undefined && !isRefused(request);
}

/** Returns the stored version of a message: `DELETED` if it no longer exists. */
const storedVersion = ({ name }, stored) => stored.byName.get(name)?.version ?? DELETED;

const called = (version) => (version === DELETED ? 'deletion' : `edit ${version}`);

/** Checks that the answers about changes agree with the histories. */
export function judgeChanges(changes, sends, stored, verdict) {
  for (const change of changes.values()) {
    const { name, requests } = change;
    // A change that is lost altogether is reported as that.
    if (!stored.byName.has(name) && !mayBeDeleted(change)) continue;
    const version = storedVersion(change, stored);
    for (const [asked, request] of requests) {
      if (request.doneAt !== undefined && version < asked) verdict.find('change lost', `${called(asked)} of ${name} was answered with success, and is not stored`);
      if (isRefused(request) && version === asked) verdict.find('refused', `${called(asked)} of ${name} was refused (${request.code}), and is stored`);
      if (['NOT_FOUND', 'FORBIDDEN'].includes(request.code) && sends.get(name)?.id !== undefined) {
        verdict.find('change lost', `${name} was acked, and its ${called(asked)} was refused with ${request.code}`);
      }
    }
  }
}

/**
 * Returns whether a message was in flight when the server was killed, so that its position is not that of its first
 * attempt.
 */
export const wasMoved = (send, crashes) => crashes.some(({ at, until }) => send.firstSentAt <= until && !(send.ackedAt < at));

/** One page's knowledge of the messages that were changed. */
export class ChangesSeen {
  constructor(page, { changes, namesById, sends, stored, crashes }, verdict) {
    Object.assign(this, { page, changes, namesById, sends, stored, crashes, verdict });
    /** Name → the version that the page has. */
    this.known = new Map();
    /** Name → the version of the last event about it. */
    this.told = new Map();
    /**
     * Time until which its connections ended without bringing an offset: the server cannot know that it had read
     * anything.
     */
    this.unknownUntil = -Infinity;
    this.hasOffset = false;
  }

  /** Takes a record of the page, in the order of its log. */
  take(record) {
    const { kind, at, id, conversation, version } = record;
    if (SHOWN.has(kind)) this.hasOffset = true;
    if (kind === 'disconnect' && !this.hasOffset) this.unknownUntil = at;
    if (kind === 'got') this.onShown(record);
    if (kind === 'told edit') this.onTold(record.name, version, conversation);
    if (kind === 'told deletion') this.onTold(this.namesById.get(id), DELETED, conversation);
  }

  onShown({ name, version = 0 }) {
    const change = this.changes.get(name);
    if (version > 0 && !change?.requests.has(version)) this.verdict.find('ghost', `${this.page.name} saw edit ${version} of ${name}, which nobody made`);
    if (!change) return;
    const known = this.known.get(name);
    if (known > version) this.verdict.find('outdated', `${this.page.name} was shown ${name} as of ${called(version)} after its ${called(known)}`);
    else this.known.set(name, version);
  }

  onTold(name, version, conversation) {
    const { page, verdict } = this;
    verdict.counts.changes += 1;
    const change = this.changes.get(name);
    const request = change?.requests.get(version);
    if (!request || this.sends.get(name)?.conversation !== conversation) {
      verdict.find('ghost', `${page.name} was told of the ${called(version)} of ${name ?? 'what was never sent'}, which nobody made there`);
      return;
    }
    if (isRefused(request)) verdict.find('refused', `${page.name} was told of the ${called(version)} of ${name}, which was refused (${request.code})`);
    else if (storedVersion(change, this.stored) < version) verdict.find('unstored', `${page.name} was told of the ${called(version)} of ${name}, which is not stored`);
    const known = this.known.get(name);
    // A change made during a catch-up may come with the message, and again by itself.
    if (this.told.get(name) === version) verdict.find('change twice', `${page.name} was told of the ${called(version)} of ${name} again`, ...(page.offsets ? [] : ['twice without offset']));
    else if (known > version) verdict.find('outdated', `${page.name} was told of the ${called(version)} of ${name} after its ${called(known)}`);
    this.known.set(name, Math.max(known ?? 0, version));
    this.told.set(name, version);
  }

  /**
   * Checks that at the end the page has the present version of every message that it has. `loaded`: conversation → time
   * at which it read the history; `since`: time of its first connect.
   */
  close(loaded, since, members) {
    const { page } = this;
    // Without an offset, the server cannot know what such a client has seen; a killed page may have been about to learn
    // of the change.
    if (page.killed || !page.offsets) return;
    for (const change of this.changes.values()) {
      const { name, requests } = change;
      const send = this.sends.get(name);
      // On its own device, the answer showed the change.
      if (!send || send.devices.has(page.device) || !members.get(send.conversation)?.includes(page.user)) continue;
      if (!this.stored.byName.has(name) && !mayBeDeleted(change)) continue;
      const version = storedVersion(change, this.stored);
      const known = this.known.get(name);
      if (known !== undefined ? known >= version : !this.hadRead(send, requests.get(version), loaded, since)) continue;
      // The client saw it at a position that was lost in the crash.
      const excuses = known !== undefined && wasMoved(send, this.crashes) ? ['moved after crash'] : [];
      this.verdict.find('change untold', `${page.name} was not told of the ${called(version)} of ${name} in ${send.conversation}`, ...excuses);
    }
  }

  /**
   * Returns whether the page read the message when it loaded, and the change was made after that. A front end need not
   * be told of messages by its own user.
   */
  hadRead(send, request, loaded, since) {
    return request !== undefined && send.user !== this.page.user && send.ackedAt < since && request.askedAt > Math.max(loaded.get(send.conversation), this.unknownUntil);
  }
}
