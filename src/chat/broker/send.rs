//! Messages: from the request to their handing out.
use std::sync::Arc;

use super::dispatch::Spared;
use super::{Broker, Outcome, Progressed};
use crate::chat::ports::{
    Broadcast, ChatError, Command, Draft, Event, Notice, OwnCopy, ProofWanted, Reply, RoomKey, USED_OTHERWISE,
};
use crate::chat::query::Load;
use crate::chat::state::{
    Asker, AskingSocket, Audience, Awaiting, CachedConversation, Handed, HandedLists, InFlight, Pending, SentId, Target,
    new_direct, pair_key, sent_by,
};
use crate::config::Delivery;
use crate::engineio::ConnectionKey;
use crate::model::{
    Conversation, ConversationId, ConversationKind, File, Listing, MODEL_USER, Message, MessageId, MessageStatus, Place, Role,
    Timestamp, UserId, digest,
};
use crate::store::{self, NewMessage, Write};

/// What a draft names, as it was looked up.
struct Subject {
    file: Option<File>,
    attachments: Vec<File>,
    listing: Option<Listing>,
}

impl Broker {
    /// Checks a send and admits it.
    pub(super) fn send(&mut self, pending: &mut Pending) -> Outcome {
        let Some(draft) = pending.command.draft() else { return Err(ChatError::Internal) };
        check_draft(draft, self.options.max_message_length)?;
        let target = match self.target(pending)? {
            Ok(target) => target,
            Err(load) => return Ok(Progressed::Needs(load)),
        };
        let Some(draft) = pending.command.draft() else { return Err(ChatError::Internal) };
        let request_hash = draft.client_message_id.is_some().then(|| request_hash(&target, draft));
        if let Some(client_id) = draft.client_message_id.clone()
            && let Some(outcome) = self.repeat(pending, &client_id, request_hash, &target)?
        {
            return Ok(outcome);
        }
        let Some(draft) = pending.command.draft() else { return Err(ChatError::Internal) };
        let urls: Vec<String> = draft.file_url.iter().chain(&draft.attachment_urls).cloned().collect();
        let uploads = match &pending.facts.uploads {
            _ if urls.is_empty() => &[][..],
            Some((dropped, uploads)) if *dropped == self.work.files_dropped => uploads,
            _ => return Ok(Progressed::Needs(Load::Uploads(urls))),
        };
        let mut files = urls.iter().map(|url| own_upload(url, uploads, &pending.user));
        let file = if draft.file_url.is_some() { files.next().transpose()? } else { None };
        let attachments = files.collect::<Result<Vec<_>, _>>()?;
        if !self.outside.has_room() {
            return Err(ChatError::StorageUnavailable);
        }
        let listing = match &draft.listing_id {
            None => None,
            Some(id) => match self.conversations.titles.find(id).or_else(|| pending.facts.listing.clone()) {
                Some(listing) => Some(listing),
                None => return Ok(Progressed::Needs(Load::Title(id.clone()))),
            },
        };
        let subject = Subject { file, attachments, listing };
        Ok(Progressed::Then(Box::new(move |broker, pending| broker.admit(pending, target, subject, request_hash))))
    }

    /// Where a send goes, if its sender may send there. `Ok(Err(load))`: something must be read first.
    fn target(&mut self, pending: &Pending) -> Result<Result<Target, Load>, ChatError> {
        let target = match &pending.command {
            Command::SendToRoom { room, shown_as, .. } => {
                let key = RoomKey::Public(room.clone());
                Target::new(Place::Room(room.clone()), Audience::Room { key, shown_as: shown_as.clone() })
            }
            Command::SendToCommonChat { .. } => {
                Target::new(Place::CommonChat, Audience::Room { key: RoomKey::CommonChat, shown_as: "".into() })
            }
            Command::SendDirect { recipient, .. } => return self.pair_target(pending, recipient),
            Command::SendToNamed { name, recipient, .. } => return self.named_target(pending, name, recipient.as_ref()),
            Command::AskModel { chat, .. } => return self.chat_target(pending, chat),
            Command::SendToConversation { conversation, .. } => match self.own_conversation(pending, *conversation) {
                Ok(Ok(conversation)) => return self.conversation_target(pending, &conversation),
                Ok(Err(load)) => return Ok(Err(load)),
                Err(error) => return Err(error),
            },
            _ => return Err(ChatError::Internal),
        };
        Ok(Ok(target))
    }

    /// A conversation of the sender's. A direct one whose other user was deleted is closed, as to that user's id.
    pub(super) fn conversation_target(
        &self,
        pending: &Pending,
        conversation: &Conversation,
    ) -> Result<Result<Target, Load>, ChatError> {
        let audience = match self.audience_of(pending, conversation) {
            Ok(audience) => audience,
            Err(load) => return Ok(Err(load)),
        };
        if let Audience::Pair { recipient, .. } = &audience
            && self.users.at_hand.get(&recipient.id).is_some_and(|user| user.account.is_deleted)
        {
            return Err(ChatError::UserNotFound);
        }
        Ok(Ok(Target::new(Place::Conversation(conversation.id), audience)))
    }

    /// Who is told what a member says in a conversation.
    pub(super) fn audience_of(&self, pending: &Pending, conversation: &Conversation) -> Result<Audience, Load> {
        if conversation.kind == ConversationKind::Group {
            return Ok(Audience::Group(conversation.id));
        }
        let other = conversation.other_than(&pending.user);
        let Some(recipient) = self.users.at_hand.get(other) else { return Err(Load::Users(vec![other.clone()])) };
        Ok(Audience::Pair { kind: conversation.kind, recipient: recipient.profile().clone() })
    }

    /// The direct conversation with a user; with the model, the chat of its name.
    pub(super) fn pair_target(&mut self, pending: &Pending, other: &UserId) -> Result<Result<Target, Load>, ChatError> {
        if other.as_str() == MODEL_USER {
            return self.chat_target(pending, MODEL_USER);
        }
        self.direct_target(pending, other)
    }

    fn direct_target(&mut self, pending: &Pending, recipient: &UserId) -> Result<Result<Target, Load>, ChatError> {
        let read_both = || Ok(Err(Load::Direct(pending.user.clone(), recipient.clone())));
        let Some(other) = self.users.at_hand.get(recipient) else {
            return if pending.facts.users_read.contains(recipient) { Err(ChatError::UserNotFound) } else { read_both() };
        };
        if other.account.is_deleted {
            return Err(ChatError::UserNotFound);
        }
        let recipient_profile = other.profile().clone();
        let known = self.conversations.directs.get(&store::direct_key(&pending.user, recipient)).copied();
        let id = match known {
            Some(id) => id,
            None if !pending.facts.conversation_read => return read_both(),
            None => ConversationId::from_uuid(self.new_id()),
        };
        let new_conversation = known.is_none().then(|| Arc::new(new_direct(id, &pending.user, recipient, self.now())));
        let audience = Audience::Pair { kind: ConversationKind::Direct, recipient: recipient_profile };
        Ok(Ok(Target { new_conversation, ..Target::new(Place::Conversation(id), audience) }))
    }

    /// What becomes of a send whose `clientMessageId` was used before; `None`: it was not.
    fn repeat(
        &mut self,
        pending: &Pending,
        client_id: &str,
        request_hash: Option<[u8; 32]>,
        target: &Target,
    ) -> Result<Option<Progressed>, ChatError> {
        let id = MessageId::of_client_id(&pending.user, client_id);
        if self.sends.in_flight.contains_key(&id) {
            return Ok(Some(Progressed::Then(Box::new(move |broker, pending| broker.wait_behind(id, pending)))));
        }
        let now = self.now();
        let user = self.users.at_hand.get_mut(&pending.user).ok_or(ChatError::UserNotFound)?;
        let Some(sent) = &mut user.sent else {
            let unreadable = pending.facts.sent_ids_unreadable;
            return Ok((!unreadable).then(|| Progressed::Needs(Load::SentIds(pending.user.clone()))));
        };
        sent.used_at = now;
        let Some(first) = sent.find(client_id) else { return Ok(None) };
        if first.request_hash.is_some() && first.request_hash != request_hash {
            return Err(USED_OTHERWISE);
        }
        match &pending.facts.message {
            None => Ok(Some(Progressed::Needs(Load::Message(first.message)))),
            Some(Some(message)) => {
                let mut message = (**message).clone();
                message.status = message.status.max(first.status);
                let question = self.question(pending, target, message.id).filter(|question| question.is_due(&message));
                let answer = match (&question, &pending.facts.answer) {
                    (Some(question), None) => return Ok(Some(Progressed::Needs(Load::Answer(question.answer_id())))),
                    (_, answer) => answer.clone().flatten(),
                };
                let audience = target.audience.clone();
                Ok(Some(Progressed::Then(Box::new(move |broker, pending| {
                    broker.answer_again(pending.asker, &audience, Arc::new(message));
                    if let Some(question) = question {
                        broker.ask_again(question, answer.as_deref());
                    }
                }))))
            }
            Some(None) => Ok(None),
        }
    }

    /// Answers a repeat with what the first request made; whose front end knows no other answer is shown that.
    pub(super) fn answer_again(&mut self, asker: Asker, audience: &Audience, message: Arc<Message>) {
        if asker.own_copy() == OwnCopy::Held
            && let Some(asking) = self.asking_socket(&message.sender.id, &asker)
        {
            let event = self.replay.number(self.message_event(audience, message.clone()));
            self.hold(asking, event);
            if let Some(connection) = asking.connection {
                self.tell(connection, Notice::Settle { message: message.id, stored: true });
            }
        }
        let status = message.status.min(MessageStatus::Delivered);
        let name = self.senders_name(&message);
        self.answer(asker, Ok(Reply::Sent { message, recipient: audience.recipient(), status, name }));
    }

    /// Has a command wait until a message is stored.
    pub(super) fn wait_behind(&mut self, message: MessageId, pending: Pending) {
        match self.sends.in_flight.get_mut(&message) {
            Some(in_flight) => in_flight.waiters.push(pending),
            None => self.answer(pending.asker, Err(ChatError::MessageNotFound)),
        }
    }

    /// Admits a message: from here on it has its id, its place in the order and its position.
    fn admit(&mut self, pending: Pending, target: Target, subject: Subject, request_hash: Option<[u8; 32]>) {
        let id = match pending.command.draft().and_then(|draft| draft.client_message_id.as_ref()) {
            Some(client_id) => MessageId::of_client_id(&pending.user, client_id),
            None => MessageId::from_uuid(self.new_id()),
        };
        let question = self.question(&pending, &target, id).map(Box::new);
        let Pending { user, asker, command, facts } = pending;
        let Subject { file, attachments, listing } = subject;
        let Target { place, audience, new_conversation, new_name } = target;
        let Some(draft) = command.into_draft() else { return self.answer(asker, Err(ChatError::Internal)) };
        let Some(sender) = self.users.at_hand.get(&user).map(|user| user.profile().clone()) else {
            return self.answer(asker, Err(ChatError::UserNotFound));
        };
        if let Some(conversation) = &new_conversation
            && let Err(error) = self.make_conversation(conversation)
        {
            return self.answer(asker, Err(error));
        }
        let created_at = self.next_time_in(&place);
        if let (Some(name), Place::Conversation(conversation)) = (new_name, &place)
            && let Err(error) = self.give_name(&user, name, *conversation, created_at)
        {
            return self.answer(asker, Err(error));
        }
        let file_type = file.as_ref().map(|file| file.message_type.clone());
        let message = Message {
            id,
            place,
            seq: 0,
            position: self.sends.position + 1,
            sender,
            role: Role::User,
            content: draft.content,
            message_type: draft.message_type.or(file_type).unwrap_or_else(|| "text".to_owned()),
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
        let waits_for_commit = facts.sent_ids_unreadable;
        self.enter(InFlight { waits_for_commit, request_hash, question, ..InFlight::new(message, audience, asker) });
    }

    /// Gives a message to the store, and to all whom it is for as soon as they may have it.
    pub(super) fn enter(&mut self, in_flight: InFlight) {
        let (id, message, request_hash) = (in_flight.message.id, in_flight.message.clone(), in_flight.request_hash);
        let sent_by = in_flight.asker.pid().as_ref().map(sent_by);
        let write = Write::Message(Box::new(NewMessage { message: message.clone(), request_hash, sent_by }));
        if let Err(refused) = self.store(write, Awaiting::Message(id)) {
            return self.answer(in_flight.asker, Err(refused.0));
        }
        self.sends.position += 1;
        self.observers.counters.messages += 1;
        if let Some(cached) = self.cached(&message.place) {
            cached.in_flight += 1;
        }
        self.stop_typing(&message, &in_flight.asker);
        self.remember_sent(&message, request_hash);
        let earlier = self.sends.failed.take(id);
        let waits_for_commit = in_flight.waits_for_commit || earlier.is_some();
        let was_given_up = in_flight.was_given_up || earlier.is_some();
        let spared = earlier.unwrap_or_default();
        self.sends.in_flight.insert(id, InFlight { waits_for_commit, was_given_up, spared, ..in_flight });
        let is_live = self.options.delivery == Delivery::Live && !self.outside.is_failing();
        if is_live && self.sends.unhanded.is_empty() && !waits_for_commit {
            self.hand_out(id);
        } else {
            self.sends.unhanded.push_back(id);
        }
    }

    fn stop_typing(&mut self, message: &Message, asker: &Asker) {
        if let (Place::Conversation(conversation), Some(connection)) = (&message.place, asker.connection())
            && let Some(change) = self.typing.stop(*conversation, &message.sender.id, connection)
        {
            self.tell_typing(&change, Some(connection));
        }
    }

    fn remember_sent(&mut self, message: &Message, request_hash: Option<[u8; 32]>) {
        let Some(client_id) = &message.client_message_id else { return };
        let Some(sent) = self.users.at_hand.get_mut(&message.sender.id).and_then(|user| user.sent.as_mut()) else { return };
        sent.insert(client_id, SentId { message: message.id, request_hash, status: MessageStatus::Sent });
    }

    /// Stores and opens a direct conversation, or a chat with the model, that did not exist.
    pub(super) fn make_conversation(&mut self, conversation: &Arc<Conversation>) -> Result<(), ChatError> {
        let write = Write::CreateConversation { conversation: conversation.clone(), joined_position: self.sends.position };
        self.store(write, Awaiting::ConversationMade(conversation.id)).map_err(|refused| refused.0)?;
        let cached = CachedConversation {
            updated_at: conversation.updated_at,
            handed: Handed::default(),
            in_flight: 0,
            is_progress_due: false,
            absent: None,
            used_at: conversation.created_at,
            conversation: conversation.clone(),
        };
        self.conversations.at_hand.insert(conversation.id, cached);
        if let Some(key) = pair_key(conversation) {
            self.conversations.directs.insert(key, conversation.id);
        }
        self.join_members(conversation, &conversation.participants);
        self.tell_users(&conversation.participants, Event::ConversationChanged(conversation.clone()));
        if conversation.kind == ConversationKind::Ai { self.name_chat(conversation) } else { Ok(()) }
    }

    /// The conversation of a place, where it is one and at hand.
    pub(super) fn cached(&mut self, place: &Place) -> Option<&mut CachedConversation> {
        let Place::Conversation(id) = place else { return None };
        self.conversations.at_hand.get_mut(id)
    }

    /// The time of the next change in a place: it rises strictly within a conversation.
    pub(super) fn next_time_in(&mut self, place: &Place) -> Timestamp {
        let now = self.now();
        let Some(cached) = self.cached(place) else { return now };
        cached.updated_at = now.max(cached.updated_at.plus_millis(1));
        cached.used_at = now;
        cached.updated_at
    }

    // ---- handing out ----

    /// Hands a message to everybody it is for. The sender's own copy is held where its front end takes it for the ack.
    pub(super) fn hand_out(&mut self, id: MessageId) {
        let Some(mut in_flight) = self.sends.in_flight.remove(&id) else { return };
        let sender = in_flight.message.sender.id.clone();
        let asking = self.asking_socket(&sender, &in_flight.asker);
        let own_copy = in_flight.asker.own_copy();
        let mut spared = Spared::default();
        if let Some(pid) = in_flight.asker.pid().filter(|_| own_copy != OwnCopy::Live) {
            // Beside the session that sent it, where the client came anew since, that one.
            spared.extend(self.sessions_of_client(&sender, pid));
        }
        for (user, serial) in &in_flight.spared {
            spared.extend(self.sessions_told(user, &in_flight.message.place, *serial));
        }

        in_flight.absent = self.absent_in(&in_flight.message.place);
        in_flight.is_delivered = self.reaches_others(&in_flight.audience, &sender);
        if in_flight.is_delivered {
            let mut message = (*in_flight.message).clone();
            message.status = MessageStatus::Delivered;
            in_flight.message = Arc::new(message);
        }
        let wanted = match in_flight.message.place {
            Place::Conversation(_) if self.awaits_receipt(&sender, true) => ProofWanted::AtOnce,
            Place::Conversation(_) => ProofWanted::Soon,
            Place::Room(_) | Place::CommonChat => ProofWanted::No,
        };
        let live_copy = asking.filter(|_| own_copy == OwnCopy::Live).map(|asking| asking.socket);
        let event = self.message_event(&in_flight.audience, in_flight.message.clone()).wanting(wanted).shown_live_to(live_copy);
        let event = match &in_flight.audience {
            Audience::Group(id) => self.hand_to_room(&RoomKey::Group(*id), event, spared, &mut in_flight.handed_lists),
            Audience::Room { key, .. } => self.hand_to_room(key, event, spared, &mut in_flight.handed_lists),
            Audience::Pair { recipient, .. } => {
                let other = (recipient.id != sender).then_some(&recipient.id);
                let (event, told) = self.tell_users_but(other.into_iter().chain([&sender]), event, spared);
                in_flight.handed_sockets = told;
                event
            }
        };
        if let Some(asking) = asking.filter(|_| own_copy == OwnCopy::Held) {
            self.hold(asking, event.clone());
        }
        in_flight.is_handed = true;
        in_flight.event = Some(event);
        self.sends.in_flight.insert(id, in_flight);
    }

    fn hand_to_room(
        &mut self,
        key: &RoomKey,
        event: Broadcast,
        spared: Spared,
        handed_lists: &mut HandedLists,
    ) -> Arc<Broadcast> {
        if let Some(room) = self.rooms.find(key) {
            *handed_lists = room.lists().map(|(worker, list)| (worker, list.clone())).collect();
        }
        self.tell_room(key, event, spared)
    }

    /// Keeps the sender's own copy of a message back until it is stored.
    fn hold(&mut self, asking: AskingSocket, event: Arc<Broadcast>) {
        self.keep_own(asking.pid, &event);
        if let Some(connection) = asking.connection {
            self.tell(connection, Notice::Hold(event));
        }
    }

    /// Whether a live socket of another user in the conversation shows what is sent.
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

    /// Whether a socket is another user's and can show what is sent.
    fn receives(&self, socket: ConnectionKey, kind: ConversationKind, sender: &UserId) -> bool {
        self.sessions
            .open
            .get(&socket)
            .is_some_and(|session| session.user != *sender && session.words.has_word_for(kind) && !session.words.unproven)
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
