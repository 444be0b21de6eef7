//! Questions to the model, as those who asked are notified of them.
use std::sync::Arc;

use log::info;
use tokio::sync::oneshot;

use super::Broker;
use crate::chat::ports::{Broadcast, ChatError, Command, Event, ModelError, SendTo};
use crate::chat::query::Query;
use crate::chat::state::{Audience, Question, Running, Target};
use crate::logging::{RefusalKind, RefusalNote};
use crate::model::{self, ConversationId, ConversationKind, MessageId, Place, UserId};

impl Broker {
    /// Returns the question that a message to this target puts to the model; `None`: the model does not answer there.
    pub(super) fn question(&self, running: &Running, target: &Target, message: MessageId) -> Option<Question> {
        let (Audience::Pair { kind: ConversationKind::Ai, recipient }, Place::Conversation(id)) =
            (&target.audience, &target.place)
        else {
            return None;
        };
        let (chat, stream, socket) = match &running.command {
            Command::Send { to: SendTo::Model { shown_as, stream, .. }, .. } => {
                (Arc::from(&**shown_as), *stream, running.reply_to.connection())
            }
            _ => {
                let at_hand = self.conversations.get(id).map(|cached| &cached.conversation);
                let name = at_hand.or(target.new_conversation.as_ref())?.name.clone();
                (serde_json::Value::from(name.unwrap_or_else(|| id.to_string())).to_string().into(), false, None)
            }
        };
        Some(Question {
            message,
            conversation: *id,
            requester: self.users.get(&running.user)?.profile().clone(),
            model: recipient.clone(),
            chat,
            socket,
            stream,
        })
    }

    /// A question that is stored already comes again: unless there is an answer, or will be one, the model is asked.
    pub(super) fn ask_again(&mut self, question: Question, answer: Option<&model::Message>) {
        match (self.questions.join(&question).map(str::to_owned), answer) {
            (Some(said), _) if question.stream && !said.is_empty() => self.notify_piece(&question, said, false),
            (Some(_), _) => {}
            // Its answer was deleted, and no other one can have its id.
            (None, Some(answer)) if answer.deleted_at.is_some() => self.notify_failure(&question, ChatError::MessageNotFound),
            (None, Some(answer)) => self.notify_answer(&question, answer.clone()),
            (None, None) => self.ask_model(question),
        }
    }

    /// Has a stored message answered by the model, when its turn comes.
    pub(super) fn ask_model(&mut self, question: Question) {
        if self.work.is_draining {
            return self.notify_failure(&question, ModelError::Stopping.into());
        }
        if let Err((question, error)) = self.questions.add(question) {
            self.notify_failure(&question, error.into());
        }
    }

    /// Asks what may be asked by now.
    pub(super) fn begin_questions(&mut self) {
        while let Some((ticket, question)) = self.questions.begin(self.options.ai_concurrency, self.options.ai_per_user) {
            self.outside.read(Query::Turns { ticket, question: Box::new(question) });
        }
    }

    /// The question that a chat waited for is answered, or will not be.
    pub(super) fn answer_settled(&mut self, conversation: ConversationId, outcome: Result<(), ChatError>) {
        let Some(question) = self.questions.end(conversation) else { return };
        match outcome {
            Ok(()) => info!(message_id:% = question.message, user:% = question.requester.id; "question answered"),
            Err(error) => self.notify_failure(&question, error),
        }
    }

    /// A message, or with `None` a whole chat, was deleted, or was not: its questions get no answer, and who asked is notified
    /// that; or they are asked again.
    pub(super) fn deletion_ended(&mut self, conversation: ConversationId, message: Option<MessageId>, was_deleted: bool) {
        for question in self.questions.take_withdrawn(conversation, message) {
            if was_deleted {
                self.notify_failure(&question, ChatError::MessageNotFound);
            } else {
                self.ask_model(question);
            }
        }
    }

    /// An account is gone, or was disabled: the model need not answer its questions.
    pub(super) fn drop_questions_of(&mut self, user: &UserId) {
        for conversation in self.questions.chats_of(user) {
            self.questions.withdraw(conversation, None);
            for question in self.questions.take_withdrawn(conversation, None) {
                info!(message_id:% = question.message, user:% = user; "question dropped: its account is gone or disabled");
            }
        }
    }

    /// The server stops: questions that wait are given up. What is returned ends when those that are asked are answered.
    pub(in crate::chat) fn drop_waiting_questions(&mut self) -> oneshot::Receiver<()> {
        for question in self.questions.drop_waiting() {
            self.notify_failure(&question, ModelError::Stopping.into());
        }
        self.questions.when_idle()
    }

    /// Gives up the questions that are asked: it took too long.
    pub(in crate::chat) fn give_up_questions(&mut self) {
        for conversation in self.questions.asked_in() {
            self.answer_settled(conversation, Err(ModelError::Stopping.into()));
        }
    }

    fn notify_failure(&mut self, question: &Question, error: ChatError) {
        let Question { message, requester, chat, .. } = question;
        let cause = format!("question {message}: {error}");
        let (kind, code, event, sid, address) = (RefusalKind::Event, error.code(), Some("ask the model"), None, None);
        let note = RefusalNote { kind, code, cause: &cause, sid, user: Some(requester.id.as_str()), event, address };
        let error_id = self.observers.refusals.note(&note);
        let (code, text) = (error.code(), self.options.ai_error_text.clone());
        self.fan_out_to_users([&requester.id], Event::AnswerFailed { chat: chat.clone(), error, error_id });
        self.fan_out_to_users([&requester.id], Event::Apology { chat: chat.clone(), text, code });
    }

    /// Notifies the socket that asks for it again an answer that is stored already.
    pub(super) fn notify_answer(&mut self, question: &Question, mut answer: model::Message) {
        answer.chat = Some(question.chat.clone());
        let recipient = Some(question.requester.clone());
        let event = Event::Message { message: Arc::new(answer), kind: ConversationKind::Ai, recipient };
        let event = self.replay.number(Broadcast::new(event));
        self.notify_requester(question, &event);
    }

    pub(super) fn notify_piece(&self, question: &Question, delta: String, done: bool) {
        let piece = Event::AnswerPiece { chat: question.chat.clone(), delta, done };
        // The whole answer follows: pieces have no place in the order.
        self.notify_requester(question, &Arc::new(Broadcast::new(piece)));
    }

    fn notify_requester(&self, question: &Question, event: &Arc<Broadcast>) {
        let Some(socket) = question.socket else { return };
        // Its place may be another user's by now.
        if self.sessions.get(&socket).is_some_and(|session| session.user == question.requester.id) {
            self.fan_out_to([socket], event);
        }
    }

    /// Chats in which the model is about to say something stay at hand.
    pub(super) fn keep_chats_in_use(&mut self, now: model::Timestamp) {
        for (id, requester) in self.questions.busy() {
            if let Some(cached) = self.conversations.get_mut(&id) {
                cached.used_at = now;
            }
            if let Some(user) = self.users.get_mut(&requester.id) {
                user.used_at = now;
            }
        }
    }
}
