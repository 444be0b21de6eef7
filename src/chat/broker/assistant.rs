//! Conversations with the model: which message is a question, what the model is asked, and what becomes of its answer.
use std::sync::Arc;

use log::info;
use tokio::sync::oneshot;

use super::Broker;
use crate::chat::ports::{Asked, Broadcast, ChatError, Command, Event, ModelError, ModelSaid, ModelWord};
use crate::chat::query::{FoundTurns, Load, Query};
use crate::chat::state::{Asker, Audience, InFlight, Pending, Question, Target, new_pair};
use crate::logging::{RefusalKind, RefusalNote};
use crate::model::{self, ConversationId, ConversationKind, MODEL_USER, MessageId, MessageStatus, Place, Role, UserId};
use crate::store::StoreError;

impl Broker {
    // ---- chats ----

    /// One's own chat with the model, by one's own name for it or by its id; one that there is not is to be made.
    /// `Ok(Err(load))`: something must be read first.
    pub(super) fn chat_target(&mut self, pending: &Pending, name: &str) -> Result<Result<Target, Load>, ChatError> {
        let Some(model) = self.users.at_hand.get(MODEL_USER).map(|model| model.profile().clone()) else {
            return load_model(pending);
        };
        let known = match self.called(pending, name)? {
            Ok(known) => known,
            Err(load) => return Ok(Err(load)),
        };
        let Some(conversation) = known else {
            let id = ConversationId::from_uuid(self.new_id());
            let members = [&pending.user, &model.id];
            let conversation = new_pair(id, ConversationKind::Ai, Some(name.to_owned()), members, self.now());
            let audience = Audience::Pair { kind: ConversationKind::Ai, recipient: model };
            let target = Target::new(Place::Conversation(id), audience);
            return Ok(Ok(Target { new_conversation: Some(Arc::new(conversation)), ..target }));
        };
        if conversation.kind != ConversationKind::Ai {
            return Err(ChatError::Forbidden);
        }
        let audience = Audience::Pair { kind: ConversationKind::Ai, recipient: model };
        Ok(Ok(Target::new(Place::Conversation(conversation.id), audience)))
    }

    /// Its owner calls a new chat so, from now on.
    pub(super) fn name_chat(&mut self, chat: &model::Conversation) -> Result<(), ChatError> {
        let (Some(name), Some(owner)) = (&chat.name, chat.participants.first()) else { return Ok(()) };
        self.give_name(owner, name.clone(), chat.id, chat.created_at)
    }

    /// Chats in which the model is about to say something stay at hand.
    pub(super) fn keep_chats_in_use(&mut self, now: model::Timestamp) {
        for (id, asker) in self.questions.busy() {
            if let Some(cached) = self.conversations.at_hand.get_mut(&id) {
                cached.used_at = now;
            }
            if let Some(user) = self.users.at_hand.get_mut(&asker.id) {
                user.used_at = now;
            }
        }
    }

    // ---- asking ----

    /// What the model is asked by a message to this target; `None`: it is not one that the model answers.
    pub(super) fn question(&self, pending: &Pending, target: &Target, message: MessageId) -> Option<Question> {
        let (Audience::Pair { kind: ConversationKind::Ai, recipient }, Place::Conversation(id)) =
            (&target.audience, &target.place)
        else {
            return None;
        };
        let (chat, stream, socket) = match &pending.command {
            Command::AskModel { shown_as, stream, .. } => (Arc::from(&**shown_as), *stream, pending.asker.connection()),
            _ => {
                let at_hand = self.conversations.at_hand.get(id).map(|cached| &cached.conversation);
                let name = at_hand.or(target.new_conversation.as_ref())?.name.clone();
                (serde_json::Value::from(name.unwrap_or_else(|| id.to_string())).to_string().into(), false, None)
            }
        };
        Some(Question {
            message,
            conversation: *id,
            asker: self.users.at_hand.get(&pending.user)?.profile().clone(),
            model: recipient.clone(),
            chat,
            socket,
            stream,
        })
    }

    /// A question that is stored already comes again: unless there is an answer, or will be one, the model is asked.
    pub(super) fn ask_again(&mut self, question: Question, answer: Option<&model::Message>) {
        match (self.questions.join(&question).map(str::to_owned), answer) {
            (Some(said), _) if question.stream && !said.is_empty() => self.tell_piece(&question, said, false),
            (Some(_), _) => {}
            // Its answer was deleted, and no other one can have its id.
            (None, Some(answer)) if answer.deleted_at.is_some() => self.tell_failure(&question, ChatError::MessageNotFound),
            (None, Some(answer)) => self.tell_answer(&question, answer.clone()),
            (None, None) => self.ask_model(question),
        }
    }

    /// Has a stored message answered by the model, when its turn comes.
    pub(super) fn ask_model(&mut self, question: Question) {
        if self.work.is_draining {
            return self.tell_failure(&question, ModelError::Stopping.into());
        }
        if let Err((question, error)) = self.questions.add(question) {
            self.tell_failure(&question, error.into());
        }
    }

    /// Asks what may be asked by now.
    pub(super) fn begin_questions(&mut self) {
        while let Some((ticket, question)) = self.questions.begin(self.options.ai_concurrency, self.options.ai_per_user) {
            self.outside.read(Query::Turns { ticket, question: Box::new(question) });
        }
    }

    /// What the model is told is there: it is asked.
    pub(super) fn prompt(&mut self, ticket: u64, found: Result<FoundTurns, StoreError>) {
        let Some(question) = self.questions.find(ticket).cloned() else { return };
        let failed = match found {
            Ok(FoundTurns::Turns(turns)) if self.questions.has_model => {
                let Some(wanted) = self.questions.note_asked(ticket) else { return };
                return self.outside.prompt(Asked { ticket, turns, stream: question.stream, wanted });
            }
            Ok(FoundTurns::Answer(answer)) => {
                self.tell_answer(&question, *answer);
                return drop(self.questions.end(question.conversation));
            }
            Ok(FoundTurns::Turns(_)) => ModelError::Failed.into(),
            Ok(FoundTurns::Gone) => ChatError::MessageNotFound,
            Err(error) => error.into(),
        };
        self.answer_settled(question.conversation, Err(failed));
    }

    // ---- answers ----

    pub(in crate::chat) fn hear(&mut self, message: ModelSaid) {
        let ModelSaid { ticket, word } = message;
        match word {
            ModelWord::Piece(piece) => {
                if let Some(question) = self.questions.hear(ticket, &piece).filter(|question| question.stream).cloned() {
                    self.tell_piece(&question, piece, false);
                }
            }
            ModelWord::Answer { text, is_truncated } => {
                let Some(question) = self.questions.find(ticket).cloned() else { return };
                if question.stream {
                    self.tell_piece(&question, String::new(), true);
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
            position: self.sends.position + 1,
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
        let audience = Audience::Pair { kind: ConversationKind::Ai, recipient: question.asker.clone() };
        let asker = Asker::Model { conversation: question.conversation };
        self.enter(InFlight { waits_for_commit: true, was_given_up: true, ..InFlight::new(message, audience, asker) });
    }

    /// The question that a chat waited for is answered, or will not be.
    pub(super) fn answer_settled(&mut self, conversation: ConversationId, outcome: Result<(), ChatError>) {
        let Some(question) = self.questions.end(conversation) else { return };
        match outcome {
            Ok(()) => info!(message_id:% = question.message, user:% = question.asker.id; "question answered"),
            Err(error) => self.tell_failure(&question, error),
        }
    }

    /// A message, or with `None` a whole chat, was deleted, or was not: its questions get no answer, and who asked is told
    /// that; or they are asked again.
    pub(super) fn deletion_ended(&mut self, conversation: ConversationId, message: Option<MessageId>, was_deleted: bool) {
        for question in self.questions.take_withdrawn(conversation, message) {
            if was_deleted {
                self.tell_failure(&question, ChatError::MessageNotFound);
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
            self.tell_failure(&question, ModelError::Stopping.into());
        }
        self.questions.when_idle()
    }

    /// Gives up the questions that are asked: it took too long.
    pub(in crate::chat) fn give_up_questions(&mut self) {
        for conversation in self.questions.asked_in() {
            self.answer_settled(conversation, Err(ModelError::Stopping.into()));
        }
    }

    fn tell_failure(&mut self, question: &Question, error: ChatError) {
        let Question { message, asker, chat, .. } = question;
        let cause = format!("question {message}: {error}");
        let (kind, code, event, sid, address) = (RefusalKind::Event, error.code(), Some("ask the model"), None, None);
        let note = RefusalNote { kind, code, cause: &cause, sid, user: Some(asker.id.as_str()), event, address };
        let error_id = self.observers.refusals.note(&note);
        let (code, text) = (error.code(), self.options.ai_error_text.clone());
        self.tell_users([&asker.id], Event::AnswerFailed { chat: chat.clone(), error, error_id });
        self.tell_users([&asker.id], Event::Apology { chat: chat.clone(), text, code });
    }

    /// Tells the socket that asks for it again an answer that is stored already.
    fn tell_answer(&mut self, question: &Question, mut answer: model::Message) {
        answer.chat = Some(question.chat.clone());
        let recipient = Some(question.asker.clone());
        let event = Event::Message { message: Arc::new(answer), kind: ConversationKind::Ai, recipient };
        let event = self.replay.number(Broadcast::new(event));
        self.tell_asking(question, &event);
    }

    fn tell_piece(&self, question: &Question, delta: String, done: bool) {
        let piece = Event::AnswerPiece { chat: question.chat.clone(), delta, done };
        // The whole answer follows: pieces have no place in the order.
        self.tell_asking(question, &Arc::new(Broadcast::new(piece)));
    }

    fn tell_asking(&self, question: &Question, event: &Arc<Broadcast>) {
        let Some(socket) = question.socket else { return };
        // Its place may be another user's by now.
        if self.sessions.open.get(&socket).is_some_and(|session| session.user == question.asker.id) {
            self.tell_few([socket], event);
        }
    }
}

/// Whether these name the model, who talks with one user at a time.
pub(super) fn refuse_model(users: &[UserId]) -> Result<(), ChatError> {
    if users.iter().any(|user| user.as_str() == MODEL_USER) { Err(ChatError::Forbidden) } else { Ok(()) }
}

fn load_model(pending: &Pending) -> Result<Result<Target, Load>, ChatError> {
    let model = UserId::parse(MODEL_USER).map_err(|_| ChatError::Internal)?;
    if pending.facts.users_read.contains(&model) { Err(ChatError::UserNotFound) } else { Ok(Err(Load::Users(vec![model]))) }
}
