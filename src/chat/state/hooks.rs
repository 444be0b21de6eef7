//! Commands that wait for the operator's hook, and repeats that wait behind them.

use super::requests::Running;
use crate::hash::HashMap;
use crate::model::MessageId;

/// A command that the hook is asked about.
#[derive(Debug)]
pub(crate) struct HookWait {
    /// The command.
    pub running: Running,
    /// Id that the message of a send will have.
    pub message: Option<MessageId>,
    /// Sends of the same message that came meanwhile.
    pub repeats: Vec<Running>,
}

/// Commands that wait for the hook, by the number of the question. Each socket has at most one, each request over HTTP is one.
#[derive(Debug, Default)]
pub(crate) struct HookWaits {
    waiting: HashMap<u64, HookWait>,
    tickets: HashMap<MessageId, u64>,
    last_ticket: u64,
}

impl HookWaits {
    /// Returns whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns whether the hook is asked about a message that is to be sent.
    pub(crate) fn is_asked_about(&self, message: &MessageId) -> bool {
        self.tickets.contains_key(message)
    }

    /// Has a command wait for the hook; returns the number of the question.
    pub(crate) fn begin(&mut self, running: Running, message: Option<MessageId>) -> u64 {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if let Some(message) = message {
            self.tickets.insert(message, ticket);
        }
        self.waiting.insert(ticket, HookWait { running, message, repeats: Vec::new() });
        ticket
    }

    /// Has a repeat wait behind the send that the hook is asked about.
    ///
    /// # Errors
    /// The repeat, if the hook is not asked about such a message.
    pub(crate) fn wait_behind(&mut self, message: &MessageId, repeat: Running) -> Result<(), Box<Running>> {
        let waiting = self.tickets.get(message).and_then(|ticket| self.waiting.get_mut(ticket));
        match waiting {
            Some(waiting) => waiting.repeats.push(repeat),
            None => return Err(Box::new(repeat)),
        }
        Ok(())
    }

    /// Takes the command of an answered question, once.
    pub(crate) fn end(&mut self, ticket: u64) -> Option<HookWait> {
        let ended = self.waiting.remove(&ticket)?;
        if let Some(message) = &ended.message {
            self.tickets.remove(message);
        }
        Some(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ports::Command;
    use crate::chat::state::{Prefetched, ReplyTo};
    use crate::model::UserId;

    fn running(ticket: u64) -> Running {
        let user = UserId::parse("ann").unwrap();
        let prefetched = Prefetched::default();
        Running { user, reply_to: ReplyTo::Http(ticket), command: Command::JoinCommonChat, prefetched }
    }

    #[test]
    fn repeats_wait_behind_the_send_that_is_asked_about() {
        let mut waits = HookWaits::default();
        let message = MessageId::of_client_id(&UserId::parse("ann").unwrap(), "m1");
        assert!(waits.wait_behind(&message, running(0)).is_err() && waits.is_empty());
        let (first, other) = (waits.begin(running(1), Some(message)), waits.begin(running(2), None));
        assert!(waits.is_asked_about(&message));
        assert!(waits.wait_behind(&message, running(3)).is_ok());
        let ended = waits.end(first).unwrap();
        assert!(matches!((ended.running.reply_to, ended.repeats.len()), (ReplyTo::Http(1), 1)));
        assert!(!waits.is_asked_about(&message) && waits.end(first).is_none());
        assert!(waits.end(other).is_some_and(|ended| ended.repeats.is_empty()) && waits.is_empty());
    }
}
