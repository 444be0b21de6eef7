//! Messages: from the request to their dispatching.
use std::sync::Arc;

use super::Broker;
use super::fan_out::Exclude;
use super::step::{Outcome, Step, Stop};
use crate::chat::ports::{
    Broadcast, ChatError, Command, ConfirmationWanted, Draft, Notice, OwnCopy, Reply, RoomKey, Sent, USED_OTHERWISE,
};
use crate::chat::query::Lookup;
use crate::chat::state::{
    AfterCommit, Audience, DispatchedLists, InFlight, ReplyTo, Requester, Running, SentId, Target, sent_by,
};
use crate::config::Delivery;
use crate::engineio::ConnectionKey;
use crate::model::{ConversationKind, File, Listing, Message, MessageId, MessageStatus, Place, Role, UserId, digest};
use crate::store::{NewMessage, Write};

/// Files and listing that a draft names, as they were looked up.
pub(super) struct Subject {
    pub(super) file: Option<File>,
    pub(super) attachments: Vec<File>,
    listing: Option<Listing>,
}

impl Subject {
    /// Returns the type of a message: the one that its sender says, else its file's.
    pub(super) fn message_type(&self, said: Option<&str>) -> String {
        let of_file = self.file.as_ref().map(|file| file.message_type.as_str());
        said.or(of_file).unwrap_or("text").to_owned()
    }
}

impl Broker {
    /// Checks a send and admits it.
    pub(super) fn send(&mut self, running: &mut Running) -> Outcome {
        let Command::Send { to, draft } = &running.command else { return Err(ChatError::Internal.into()) };
        check_draft(draft, self.options.max_message_length)?;
        let target = self.target(running, to)?;
        let request_hash = draft.client_message_id.is_some().then(|| request_hash(&target, draft));
        if let Some(client_id) = &draft.client_message_id
            && self.repeat(running, client_id, request_hash, &target)?
        {
            return Ok(None);
        }
        let subject = self.subject(running, draft)?;
        self.ask_before_send(running, &target, &subject)?;
        self.admit(running, target, subject, request_hash)?;
        Ok(None)
    }

    /// Looks up what a draft names: uploads of the sender's own, and a listing.
    fn subject(&mut self, running: &Running, draft: &Draft) -> Step<Subject> {
        let urls: Vec<String> = draft.file_url.iter().chain(&draft.attachment_urls).cloned().collect();
        let uploads = match &running.prefetched.uploads {
            _ if urls.is_empty() => &[][..],
            Some((dropped, uploads)) if *dropped == self.work.files_dropped => uploads,
            _ => return Err(Lookup::Uploads(urls).into()),
        };
        let mut files = urls.iter().map(|url| own_upload(url, uploads, &running.user));
        let file = if draft.file_url.is_some() { files.next().transpose()? } else { None };
        let attachments = files.collect::<Result<Vec<_>, _>>()?;
        if !self.outside.has_room() {
            return Err(ChatError::StorageUnavailable.into());
        }
        let listing = match &draft.listing_id {
            None => None,
            Some(id) => match self.conversations.titles.find(id).or_else(|| running.prefetched.listing.clone()) {
                Some(listing) => Some(listing),
                None => return Err(Lookup::Title(id.clone()).into()),
            },
        };
        Ok(Subject { file, attachments, listing })
    }

    /// Answers a send whose `clientMessageId` was used before. Returns whether it was.
    fn repeat(&mut self, running: &Running, client_id: &str, request_hash: Option<[u8; 32]>, target: &Target) -> Step<bool> {
        let id = MessageId::of_client_id(&running.user, client_id);
        if self.sends.contains(&id) {
            return Err(Stop::Behind(id));
        }
        let now = self.now();
        let user = self.users.get_mut(&running.user).ok_or(ChatError::UserNotFound)?;
        let Some(sent) = &mut user.sent else {
            let is_unreadable = running.prefetched.sent_ids_unreadable;
            return if is_unreadable { Ok(false) } else { Err(Lookup::SentIds(running.user.clone()).into()) };
        };
        sent.used_at = now;
        let Some(first) = sent.find(client_id) else { return Ok(false) };
        if first.request_hash.is_some() && first.request_hash != request_hash {
            return Err(USED_OTHERWISE.into());
        }
        let message = match &running.prefetched.message {
            None => return Err(Lookup::Message(first.message).into()),
            Some(None) => return Ok(false),
            Some(Some(message)) => message,
        };
        let mut message = (**message).clone();
        message.status = message.status.max(first.status);
        let question = self.question(running, target, message.id).filter(|question| question.is_due(&message));
        let answer = match (&question, &running.prefetched.answer) {
            (Some(question), None) => return Err(Lookup::Answer(question.answer_id()).into()),
            (_, answer) => answer.as_ref().and_then(Option::as_deref),
        };
        self.answer_again(running.reply_to, &target.audience, Arc::new(message));
        if let Some(question) = question {
            self.ask_again(question, answer);
        }
        Ok(true)
    }

    /// Answers a repeat with what the first request made; whose front end knows no other answer is shown that.
    pub(super) fn answer_again(&mut self, reply_to: ReplyTo, audience: &Audience, message: Arc<Message>) {
        if reply_to.own_copy() == OwnCopy::Held
            && let Some(requester) = self.requester_of(&message.sender.id, &reply_to)
        {
            let event = self.replay.number(self.message_event(audience, message.clone()));
            self.hold(requester, event);
            if let Some(connection) = requester.connection {
                self.notify(connection, Notice::Settle { message: message.id, stored: true });
            }
        }
        let status = message.status.min(MessageStatus::Delivered);
        let name = self.senders_name(&message);
        self.answer(reply_to, Ok(Reply::Sent(Sent { message, recipient: audience.recipient(), status, name })));
    }

    /// Admits a message: from here on it has its id, its place in the order and its position.
    fn admit(
        &mut self,
        running: &mut Running,
        target: Target,
        subject: Subject,
        request_hash: Option<[u8; 32]>,
    ) -> Result<(), ChatError> {
        let (told, content) =
            running.prefetched.hook_answer.take().map_or((None, None), |answer| (answer.message, answer.content));
        let id = match running.command.draft().and_then(|draft| draft.client_message_id.as_ref()) {
            Some(client_id) => MessageId::of_client_id(&running.user, client_id),
            None => told.unwrap_or_else(|| MessageId::from_uuid(self.new_id())),
        };
        let question = self.question(running, &target, id).map(Box::new);
        let Target { place, audience, new_conversation, new_name } = target;
        let sender = self.users.get(&running.user).ok_or(ChatError::UserNotFound)?.profile().clone();
        let Command::Send { draft, .. } = &mut running.command else { return Err(ChatError::Internal) };
        let draft = std::mem::take(draft);
        let message_type = subject.message_type(draft.message_type.as_deref());
        let Subject { file, attachments, listing } = subject;
        if let Some(conversation) = &new_conversation {
            self.make_conversation(conversation)?;
        }
        let created_at = self.next_time_in(&place);
        if let (Some(name), Place::Conversation(conversation)) = (new_name, &place) {
            self.give_name(&running.user, name, *conversation, created_at)?;
        }
        let message = Message {
            id,
            place,
            seq: 0,
            position: self.sends.next_position(),
            sender,
            role: Role::User,
            content: content.unwrap_or(draft.content),
            message_type,
            file,
            attachments,
            listing,
            client_message_id: draft.client_message_id,
            chat: None,
            is_truncated: false,
            status: MessageStatus::Sent,
            read_by: Vec::new(),
            created_at,
            updated_at: created_at,
            deleted_at: None,
        };
        // Whether it is a repeat only the index knows where the sender's ids cannot be read.
        let waits_for_commit = running.prefetched.sent_ids_unreadable;
        self.enter(InFlight { waits_for_commit, request_hash, question, ..InFlight::new(message, audience, running.reply_to) })
    }

    /// Gives a message to the store, and to all whom it is for as soon as they may have it.
    ///
    /// # Errors
    /// As [`Broker::store`].
    pub(super) fn enter(&mut self, in_flight: InFlight) -> Result<(), ChatError> {
        let (id, message, request_hash) = (in_flight.message.id, in_flight.message.clone(), in_flight.request_hash);
        let sent_by = in_flight.reply_to.pid().as_ref().map(sent_by);
        let write = Write::Message(Box::new(NewMessage { message: message.clone(), request_hash, sent_by }));
        self.store(write, AfterCommit::Message(id))?;
        self.observers.counters.messages += 1;
        if let Some(cached) = self.cached(&message.place) {
            cached.in_flight += 1;
        }
        self.stop_typing(&message, &in_flight.reply_to);
        self.remember_sent(&message, request_hash);
        let is_live = self.options.delivery == Delivery::Live && !self.outside.is_failing();
        if self.sends.admit(in_flight, is_live) {
            self.dispatch(id);
        }
        Ok(())
    }

    fn stop_typing(&mut self, message: &Message, reply_to: &ReplyTo) {
        if let (Place::Conversation(conversation), Some(connection)) = (&message.place, reply_to.connection())
            && let Some(change) = self.typing.stop(*conversation, &message.sender.id, connection)
        {
            self.fan_out_typing(&change, Some(connection));
        }
    }

    fn remember_sent(&mut self, message: &Message, request_hash: Option<[u8; 32]>) {
        let Some(client_id) = &message.client_message_id else { return };
        let Some(sent) = self.users.get_mut(&message.sender.id).and_then(|user| user.sent.as_mut()) else { return };
        sent.insert(client_id, SentId { message: message.id, request_hash, status: MessageStatus::Sent });
    }

    /// Hands a message to everybody it is for. The sender's own copy is held where its front end takes it for the ack.
    pub(super) fn dispatch(&mut self, id: MessageId) {
        let Some(mut in_flight) = self.sends.take(id) else { return };
        let sender = in_flight.message.sender.id.clone();
        // Looked up now, not at the admission: since then the client may have come back on another connection.
        let requester = self.requester_of(&sender, &in_flight.reply_to);
        let own_copy = in_flight.reply_to.own_copy();
        let mut excluded = Exclude::default();
        if let Some(pid) = in_flight.reply_to.pid().filter(|_| own_copy != OwnCopy::Live) {
            // Beside the session that sent it, where the client came anew since, that one.
            excluded.extend(self.sessions_of_client(&sender, pid));
        }
        // An earlier try was given up after they had been sent it: a retry is shown to nobody twice.
        for (user, event_seq) in in_flight.given_up.iter().flat_map(|earlier| &earlier.notified) {
            excluded.extend(self.sessions_notified(user, &in_flight.message.place, *event_seq));
        }

        // As of now: a member without a socket is owed a notification, one who comes later has the message from the catch-up.
        in_flight.absent = self.absent_in(&in_flight.message.place);
        in_flight.is_delivered = self.reaches_others(&in_flight.audience, &sender);
        // Who is shown the event has received the message, so the event says so.
        if in_flight.is_delivered {
            let mut message = (*in_flight.message).clone();
            message.status = MessageStatus::Delivered;
            in_flight.message = Arc::new(message);
        }
        // Haste costs a packet of each recipient: it is asked for only if a device of the sender shows receipts.
        let wanted = match in_flight.message.place {
            Place::Conversation(_) if self.awaits_receipt(&sender, true) => ConfirmationWanted::AtOnce,
            Place::Conversation(_) => ConfirmationWanted::Soon,
            Place::Room(_) | Place::CommonChat => ConfirmationWanted::No,
        };
        let live_copy = requester.filter(|_| own_copy == OwnCopy::Live).map(|requester| requester.socket);
        let event = self.message_event(&in_flight.audience, in_flight.message.clone()).wanting(wanted).shown_live_to(live_copy);
        let event = match &in_flight.audience {
            Audience::Group(id) => self.dispatch_to_room(&RoomKey::Group(*id), event, excluded, &mut in_flight.dispatched_lists),
            Audience::Room { key, .. } => self.dispatch_to_room(key, event, excluded, &mut in_flight.dispatched_lists),
            Audience::Pair { recipient, .. } => {
                // In a conversation with oneself both are one user, who is sent it once.
                let other = (recipient.id != sender).then_some(&recipient.id);
                let (event, notified) = self.fan_out_to_users_except(other.into_iter().chain([&sender]), event, excluded);
                in_flight.dispatched_sockets = notified;
                event
            }
        };
        // Only now: the copy bears the number that the event was given as it was fanned out.
        if let Some(requester) = requester.filter(|_| own_copy == OwnCopy::Held) {
            self.hold(requester, event.clone());
        }
        in_flight.is_dispatched = true;
        in_flight.event = Some(event);
        self.sends.put_back(in_flight);
    }

    fn dispatch_to_room(
        &mut self,
        key: &RoomKey,
        event: Broadcast,
        excluded: Exclude,
        dispatched_lists: &mut DispatchedLists,
    ) -> Arc<Broadcast> {
        if let Some(room) = self.rooms.find(key) {
            *dispatched_lists = room.lists().map(|(worker, list)| (worker, list.clone())).collect();
        }
        self.fan_out_to_room(key, event, excluded)
    }

    /// Keeps the sender's own copy of a message back until it is stored.
    fn hold(&mut self, requester: Requester, event: Arc<Broadcast>) {
        self.keep_own(requester.pid, &event);
        if let Some(connection) = requester.connection {
            self.notify(connection, Notice::Hold(event));
        }
    }

    /// Returns whether a live socket of another user in the conversation shows the message.
    fn reaches_others(&self, audience: &Audience, sender: &UserId) -> bool {
        match audience {
            Audience::Room { .. } => false,
            Audience::Group(id) => self
                .rooms
                .find(&RoomKey::Group(*id))
                .is_some_and(|room| room.connections().any(|socket| self.receives(socket, ConversationKind::Group, sender))),
            Audience::Pair { kind, recipient } => {
                self.sockets_of(&recipient.id).iter().any(|socket| self.receives(*socket, *kind, sender))
            }
        }
    }

    /// Returns whether a socket is another user's and can show messages of this kind.
    fn receives(&self, socket: ConnectionKey, kind: ConversationKind, sender: &UserId) -> bool {
        self.sessions.get(&socket).is_some_and(|session| {
            session.user != *sender && session.capabilities.can_show(kind) && !session.capabilities.unconfirmed
        })
    }
}

fn check_draft(draft: &Draft, max_length: usize) -> Result<(), ChatError> {
    if draft.content.is_empty() && draft.file_url.is_none() && draft.attachment_urls.is_empty() {
        return Err(ChatError::InvalidPayload { field: "content" });
    }
    if max_length > 0 && draft.content.chars().count() > max_length {
        return Err(ChatError::TooLarge("the text is too long"));
    }
    Ok(())
}

fn own_upload(url: &str, uploads: &[(File, UserId)], user: &UserId) -> Result<File, ChatError> {
    let (file, owner) = uploads.iter().find(|(file, _)| file.url == url).ok_or(ChatError::FileNotFound)?;
    if owner == user { Ok(file.clone()) } else { Err(ChatError::Forbidden) }
}

/// SHA-256 of what makes two requests the same.
fn request_hash(target: &Target, draft: &Draft) -> [u8; 32] {
    let (kind, name) = match (&target.audience, &target.place) {
        // Named by its conversation or by its recipient, it is the same target.
        (Audience::Pair { kind: ConversationKind::Direct, recipient }, _) => ("direct", recipient.id.to_string()),
        (_, Place::Conversation(id)) => ("conversation", id.to_string()),
        (_, Place::Room(room)) => ("room", room.to_string()),
        (_, Place::CommonChat) => ("common", String::new()),
    };
    let file = draft.file_url.as_deref().unwrap_or_default();
    digest([kind, &name, &draft.content, file].into_iter().chain(draft.attachment_urls.iter().map(String::as_str)))
}
