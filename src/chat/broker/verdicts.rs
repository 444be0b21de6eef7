//! Answers of the operator's hook: who waited for one goes on.
use super::Broker;
use crate::chat::ports::{ChatError, HookVerdict};
use crate::chat::state::{HookAnswer, HookWait, Prefetched};

impl Broker {
    /// The hook, or what stands for it, has answered.
    pub(in crate::chat) fn on_hook_said(&mut self, ticket: u64, verdict: HookVerdict) {
        let Some(HookWait { mut running, message, repeats }) = self.work.hooks.end(ticket) else { return };
        // A message that was read before the question may have changed since; all else is looked up in what is known by now.
        running.prefetched = Prefetched { message: None, answer: None, ..running.prefetched };
        let outcome = match verdict {
            HookVerdict::Allowed { content } => {
                running.prefetched.hook_answer = Some(HookAnswer { message, content });
                Ok(())
            }
            HookVerdict::Refused(refusal) => Err(ChatError::HookRefused(refusal)),
            HookVerdict::Failed => Err(ChatError::HookFailed),
        };
        if let Err(error) = &outcome {
            let (now, cause) = (self.now(), error.hook_cause());
            self.observers.traces.note(&running.user, |trace| trace.incidents_mut().hooked = Some((now, cause)));
        }
        let is_disabled = self.users.get(&running.user).is_some_and(|user| user.account.disabled);
        let outcome = outcome.and(if is_disabled { Err(ChatError::AccountDisabled) } else { Ok(()) });
        self.resume(running, outcome);
        // Each is recognised as a repeat, or, if the first was refused, asked about in its turn.
        for repeat in repeats {
            self.resume(repeat, Ok(()));
        }
    }
}
