//! Conversations with the model: which message is a question, what the model is asked, and what becomes of its answer.
use super::Broker;
use crate::chat::ports::{Asked, ChatError, ModelError, ModelSaid, ModelWord};
use crate::chat::query::FoundTurns;
use crate::chat::state::{Audience, FailedSend, InFlight, Question, ReplyTo};
use crate::model::{self, ConversationKind, MODEL_USER, MessageStatus, Place, Role, UserId};
use crate::store::StoreError;

impl Broker {
    /// Asks the model: the turns that it is sent have been read.
    pub(super) fn prompt(&mut self, ticket: u64, found: Result<FoundTurns, StoreError>) {
        let Some(question) = self.questions.find(ticket).cloned() else { return };
        let failed = match found {
            Ok(FoundTurns::Turns(turns)) if self.questions.has_model => {
                let Some(wanted) = self.questions.note_asked(ticket) else { return };
                return self.outside.prompt(Asked { ticket, turns, stream: question.stream, wanted });
            }
            Ok(FoundTurns::Answer(answer)) => {
                self.notify_answer(&question, *answer);
                return drop(self.questions.end(question.conversation));
            }
            Ok(FoundTurns::Turns(_)) => ModelError::Failed.into(),
            Ok(FoundTurns::Gone) => ChatError::MessageNotFound,
            Err(error) => error.into(),
        };
        self.answer_settled(question.conversation, Err(failed));
    }

    pub(in crate::chat) fn hear(&mut self, message: ModelSaid) {
        let ModelSaid { ticket, word } = message;
        match word {
            ModelWord::Piece(piece) => {
                if let Some(question) = self.questions.hear(ticket, &piece).filter(|question| question.stream).cloned() {
                    self.notify_piece(&question, piece, false);
                }
            }
            ModelWord::Answer { text, is_truncated } => {
                let Some(question) = self.questions.find(ticket).cloned() else { return };
                if question.stream {
                    self.notify_piece(&question, String::new(), true);
                }
                self.questions.note_answered(ticket);
                self.admit_answer(&question, text, is_truncated);
            }
            ModelWord::Failed(error) => {
                let Some(conversation) = self.questions.find(ticket).map(|question| question.conversation) else { return };
                self.answer_settled(conversation, Err(error.into()));
            }
        }
    }

    /// An answer is shown once it is stored: what is asked anew because it was not would be answered in other words.
    fn admit_answer(&mut self, question: &Question, content: String, is_truncated: bool) {
        let place = Place::Conversation(question.conversation);
        let created_at = self.next_time_in(&place);
        let message = model::Message {
            id: question.answer_id(),
            place,
            seq: 0,
            position: self.sends.next_position(),
            sender: question.model.clone(),
            role: Role::Model,
            content,
            message_type: "text".to_owned(),
            file: None,
            attachments: Vec::new(),
            listing: None,
            client_message_id: None,
            chat: Some(question.chat.clone()),
            is_truncated,
            status: MessageStatus::Sent,
            read_by: Vec::new(),
            created_at,
            updated_at: created_at,
            deleted_at: None,
        };
        let audience = Audience::Pair { kind: ConversationKind::Ai, recipient: question.requester.clone() };
        let reply_to = ReplyTo::Model { conversation: question.conversation };
        let in_flight = InFlight {
            waits_for_commit: true,
            given_up: Some(FailedSend::default()),
            ..InFlight::new(message, audience, reply_to)
        };
        if let Err(error) = self.enter(in_flight) {
            self.answer_settled(question.conversation, Err(error));
        }
    }
}

/// Refuses a list of users that names the model, who talks with one user at a time.
pub(super) fn refuse_model(users: &[UserId]) -> Result<(), ChatError> {
    if users.iter().any(|user| user.as_str() == MODEL_USER) { Err(ChatError::Forbidden) } else { Ok(()) }
}
