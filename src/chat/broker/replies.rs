//! Replies to commands.
use log::debug;

use super::Broker;
use crate::chat::ports::{ChatError, Notice, Reply};
use crate::chat::state::ReplyTo;
use crate::model::SocketId;

impl Broker {
    pub(super) fn answer(&mut self, reply_to: ReplyTo, reply: Result<Reply, ChatError>) {
        self.observers.counters.refused += u64::from(reply.is_err());
        match reply_to {
            ReplyTo::Session { connection, ticket, .. } => self.notify(connection, Notice::Reply { ticket, reply }),
            ReplyTo::Left { socket, .. } => {
                if let Err(error) = reply {
                    self.note_left_refused(socket, &error);
                }
            }
            ReplyTo::Http(ticket) => self.outside.reply(ticket, reply),
            ReplyTo::Model { conversation } => self.answer_settled(conversation, reply.map(drop)),
        }
    }

    /// Logs that what a connection left behind was refused: its client hears nothing any more.
    fn note_left_refused(&self, socket: SocketId, error: &ChatError) {
        debug!(sid:% = socket, code = error.code(); "refused what a connection left behind");
    }
}
