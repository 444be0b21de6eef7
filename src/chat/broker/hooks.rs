//! The operator's hook: asked before a request takes effect. Who asks for it waits, with what its socket asks for after it;
//! nobody else does. Once there is an answer, the command is carried out anew, with all checks.
use super::Broker;
use super::send::Subject;
use super::step::{Step, Stop};
use crate::chat::ports::{ChatError, Draft, HookMessage, HookPlace, HookQuestion, HookSubject, PARTICIPANTS_SHOWN_MAX, RoomKey};
use crate::chat::state::{Audience, HookAnswer, Running, Target};
use crate::config::HookEvent;
use crate::model::{Conversation, MessageId, Place};

impl Broker {
    /// Has the hook asked about a send, where it is asked about sends and has not answered yet.
    ///
    /// # Errors
    /// The question, or the wait behind the same one.
    #[inline]
    pub(super) fn ask_before_send(&mut self, running: &Running, target: &Target, subject: &Subject) -> Step<()> {
        if !self.options.hooks.has(HookEvent::Send) || running.prefetched.hook_answer.is_some() {
            return Ok(());
        }
        Err(self.question_of_send(running, target, subject))
    }

    #[cold]
    fn question_of_send(&mut self, running: &Running, target: &Target, subject: &Subject) -> Stop {
        let Some(draft) = running.command.draft() else { return ChatError::Internal.into() };
        let id = match &draft.client_message_id {
            Some(client_id) => MessageId::of_client_id(&running.user, client_id),
            None => MessageId::from_uuid(self.new_id()),
        };
        if self.work.hooks.is_asked_about(&id) {
            return Stop::BehindHook(id);
        }
        let Draft { content, message_type, client_message_id, .. } = draft;
        let message = HookMessage {
            id,
            content: content.clone(),
            message_type: subject.message_type(message_type.as_deref()),
            file: subject.file.clone(),
            attachments: subject.attachments.clone(),
            client_message_id: client_message_id.clone(),
        };
        let place = self.place_of_target(running, target);
        self.question_for_hook(running, HookSubject::Send { place, message })
    }

    /// Has the hook asked about another request, where it is asked about such and has not answered yet. Returns its answer.
    ///
    /// # Errors
    /// The question.
    pub(super) fn ask_before<'a>(
        &self,
        running: &'a Running,
        event: HookEvent,
        subject: impl FnOnce(&Self) -> HookSubject,
    ) -> Step<Option<&'a HookAnswer>> {
        let answer = running.prefetched.hook_answer.as_ref();
        if answer.is_some() || !self.options.hooks.has(event) {
            return Ok(answer);
        }
        Err(self.question_for_hook(running, subject(self)))
    }

    fn question_for_hook(&self, running: &Running, subject: HookSubject) -> Stop {
        let Some(user) = self.users.get(&running.user) else { return ChatError::UserNotFound.into() };
        let session = running.reply_to.connection().and_then(|connection| self.sessions.get(&connection));
        let of_session = session.map(|session| (session.socket, session.client_dialects));
        let left = || running.reply_to.socket().map(|socket| (socket, Default::default()));
        Stop::AskHook(Box::new(HookQuestion { user: user.profile().clone(), socket: of_session.or_else(left), subject }))
    }

    fn place_of_target(&self, running: &Running, target: &Target) -> HookPlace {
        match (&target.place, &target.audience) {
            (Place::Conversation(id), Audience::Pair { kind, recipient }) => {
                let is_made = target.new_conversation.is_none();
                let others = (recipient.id != running.user).then(|| recipient.id.clone());
                let participants: Vec<_> = std::iter::once(running.user.clone()).chain(others).collect();
                HookPlace {
                    id: is_made.then(|| id.to_string()),
                    kind: kind.as_str(),
                    participant_count: participants.len(),
                    participants,
                }
            }
            (place, _) => self.hook_place(place),
        }
    }

    /// Returns the conversation or room of a stored message or a join, as a hook is shown it.
    pub(super) fn hook_place(&self, place: &Place) -> HookPlace {
        match place {
            Place::Conversation(id) => {
                let conversation = self.conversations.get(id).map(|cached| &*cached.conversation);
                let no_room = || HookPlace { id: Some(id.to_string()), ..room_place("group", None) };
                conversation.map_or_else(no_room, place_of_conversation)
            }
            Place::Room(room) => room_place("room", Some(room.to_string())),
            Place::CommonChat => room_place("common_chat", None),
        }
    }

    /// Has the hook asked before a socket enters a public room or the common chat.
    ///
    /// # Errors
    /// The question.
    pub(super) fn ask_before_joining(&self, running: &Running, room: &RoomKey) -> Step<()> {
        let place = |broker: &Self| match room {
            RoomKey::Public(room) => broker.hook_place(&Place::Room(room.clone())),
            RoomKey::Group(id) => broker.hook_place(&Place::Conversation(*id)),
            RoomKey::CommonChat => broker.hook_place(&Place::CommonChat),
        };
        self.ask_before(running, HookEvent::Join, |broker| HookSubject::Join { place: place(broker) }).map(drop)
    }

    /// Has a command wait for the hook's answer.
    pub(super) fn begin_hook(&mut self, question: Box<HookQuestion>, running: Running) {
        let message = match &question.subject {
            HookSubject::Send { message, .. } => Some(message.id),
            HookSubject::Edit { .. } | HookSubject::Delete { .. } | HookSubject::Join { .. } => None,
        };
        let ticket = self.work.hooks.begin(running, message);
        self.outside.ask_hook(ticket, question);
    }
}

fn place_of_conversation(conversation: &Conversation) -> HookPlace {
    HookPlace {
        id: Some(conversation.id.to_string()),
        kind: conversation.kind.as_str(),
        participants: conversation.participants.iter().take(PARTICIPANTS_SHOWN_MAX).cloned().collect(),
        participant_count: conversation.participants.len(),
    }
}

fn room_place(kind: &'static str, id: Option<String>) -> HookPlace {
    HookPlace { id, kind, participants: Vec::new(), participant_count: 0 }
}
