//! The life of conversations: made, renamed, joined, left, deleted. What is stored takes effect on open sockets at once.
use std::sync::Arc;

use hashbrown::HashSet;
use smallvec::SmallVec;

use super::assistant::refuse_model;
use super::dispatch::Spared;
use super::{Broker, Outcome, Progressed};
use crate::chat::ports::{Broadcast, ChatError, Command, Event, Reply, RoomKey};
use crate::chat::query::Load;
use crate::chat::state::{Asker, Awaiting, CachedConversation, Change, Pending};
use crate::engineio::ConnectionKey;
use crate::model::{Conversation, ConversationId, ConversationKind, MODEL_USER, Place, Timestamp, UserId};
use crate::store::{Membership, Write};

impl Broker {
    /// Checks a change of a conversation and stores it.
    pub(super) fn change_conversation(&mut self, pending: &Pending) -> Outcome {
        if let Some(id) = pending.command.changed_group()
            && self.conversations.changing.contains_key(&id)
        {
            return Ok(Progressed::Then(Box::new(move |broker, pending| {
                broker.conversations.changing.entry(id).or_default().push(pending);
            })));
        }
        match &pending.command {
            Command::CreateGroup { name, avatar, participants } => {
                refuse_model(participants)?;
                self.check_members(std::slice::from_ref(&pending.user), participants)?;
                if let Some(load) = self.unknown_users(pending, participants)? {
                    return Ok(Progressed::Needs(load));
                }
                Ok(self.create_group(pending, name.clone(), avatar.clone(), participants))
            }
            Command::CreateDirect { participant } => self.create_direct(pending, participant),
            Command::UpdateConversation { conversation, name, avatar } => {
                let group = match self.own_group(pending, *conversation)? {
                    Ok(group) => group,
                    Err(load) => return Ok(Progressed::Needs(load)),
                };
                require_admin(&group, &pending.user)?;
                let at = self.next_time_in(&Place::Conversation(group.id));
                let name = name.clone().or_else(|| group.name.clone());
                let avatar = avatar.clone().unwrap_or_else(|| group.avatar.clone());
                Ok(updated(group.id, name, avatar, group.admin.clone(), at))
            }
            Command::DeleteConversation { conversation } => {
                let found = match self.own_conversation(pending, *conversation)? {
                    Ok(found) => found,
                    Err(load) => return Ok(Progressed::Needs(load)),
                };
                match found.kind {
                    ConversationKind::Direct => return Err(ChatError::Forbidden),
                    ConversationKind::Group => require_admin(&found, &pending.user)?,
                    // A chat with the model is its user's alone.
                    ConversationKind::Ai => {}
                }
                Ok(stored(Write::DeleteConversation { conversation: found.id }, Change::Deleted(found.id)))
            }
            Command::AddParticipants { conversation, participants } => {
                let group = match self.own_group(pending, *conversation)? {
                    Ok(group) => group,
                    Err(load) => return Ok(Progressed::Needs(load)),
                };
                require_admin(&group, &pending.user)?;
                refuse_model(participants)?;
                self.check_members(&group.participants, participants)?;
                if let Some(load) = self.unknown_users(pending, participants)? {
                    return Ok(Progressed::Needs(load));
                }
                Ok(self.add_participants(&group, participants, &pending.user))
            }
            Command::RemoveParticipant { conversation, participant } => {
                let group = match self.own_group(pending, *conversation)? {
                    Ok(group) => group,
                    Err(load) => return Ok(Progressed::Needs(load)),
                };
                if *participant != pending.user {
                    require_admin(&group, &pending.user)?;
                }
                if !group.has(participant) {
                    return Err(ChatError::UserNotFound);
                }
                Ok(self.remove_participant(&group, participant))
            }
            _ => Err(ChatError::Internal),
        }
    }

    /// Whether a group has room for these, beside its members.
    fn check_members(&self, members: &[UserId], joining: &[UserId]) -> Result<(), ChatError> {
        let max = self.options.max_group_members;
        let is_full = max > 0 && members.len() + those_not_in(members, joining).len() > max;
        if is_full { Err(ChatError::TooLarge("too many members (MAX_GROUP_MEMBERS)")) } else { Ok(()) }
    }

    fn own_group(&mut self, pending: &Pending, id: ConversationId) -> Result<Result<Arc<Conversation>, Load>, ChatError> {
        match self.own_conversation(pending, id)? {
            Ok(conversation) if conversation.kind != ConversationKind::Group => Err(ChatError::Forbidden),
            other => Ok(other),
        }
    }

    /// What must be read before all of `users` are at hand.
    fn unknown_users(&self, pending: &Pending, users: &[UserId]) -> Result<Option<Load>, ChatError> {
        let unknown: Vec<_> = users.iter().filter(|user| !self.users.at_hand.contains_key(*user)).cloned().collect();
        if unknown.iter().any(|user| pending.facts.users_read.contains(user)) {
            return Err(ChatError::UserNotFound);
        }
        Ok((!unknown.is_empty()).then_some(Load::Users(unknown)))
    }

    fn create_group(&mut self, pending: &Pending, name: String, avatar: Option<String>, others: &[UserId]) -> Progressed {
        let mut participants = vec![pending.user.clone()];
        let others = those_not_in(&participants, others);
        participants.extend(others);
        let now = self.now();
        let conversation = Arc::new(Conversation {
            id: ConversationId::from_uuid(self.new_id()),
            kind: ConversationKind::Group,
            name: Some(name),
            avatar,
            admin: Some(pending.user.clone()),
            participants,
            last_message: None,
            last_seq: 0,
            created_at: now,
            updated_at: now,
        });
        let write = Write::CreateConversation { conversation: conversation.clone(), joined_position: self.sends.position };
        stored(write, Change::Made(conversation))
    }

    fn create_direct(&mut self, pending: &Pending, other: &UserId) -> Outcome {
        let target = match self.pair_target(pending, other)? {
            Ok(target) => target,
            Err(load) => return Ok(Progressed::Needs(load)),
        };
        let Some(conversation) = target.new_conversation else {
            let cached = self.cached(&target.place).ok_or(ChatError::ConversationNotFound)?;
            return Ok(Progressed::Done(Reply::Conversation { conversation: cached.conversation.clone(), created: false }));
        };
        // It is in use at once, as when a message makes it, so that nobody makes it twice.
        Ok(Progressed::Then(Box::new(move |broker, pending| match broker.make_conversation(&conversation) {
            Ok(()) => {
                let change = Change::Made(conversation);
                broker.store_for(Write::Barrier, Awaiting::Conversation { change, asker: pending.asker });
            }
            Err(error) => broker.answer(pending.asker, Err(error)),
        })))
    }

    fn add_participants(&mut self, group: &Arc<Conversation>, users: &[UserId], by: &UserId) -> Progressed {
        let joining = those_not_in(&group.participants, users);
        if joining.is_empty() {
            return Progressed::Done(Reply::Conversation { conversation: group.clone(), created: false });
        }
        let at = self.next_time_in(&Place::Conversation(group.id));
        let write = Write::AddParticipants {
            conversation: group.id,
            users: joining.clone(),
            joined_at: at,
            joined_position: self.sends.position,
        };
        stored(write, Change::Joined { conversation: group.id, users: joining, by: by.clone(), at })
    }

    fn remove_participant(&mut self, group: &Arc<Conversation>, user: &UserId) -> Progressed {
        let Some(next) = group.participants.iter().find(|member| *member != user) else {
            return stored(Write::DeleteConversation { conversation: group.id }, Change::Deleted(group.id));
        };
        let admin = if group.admin.as_ref() == Some(user) { Some(next.clone()) } else { group.admin.clone() };
        let at = self.next_time_in(&Place::Conversation(group.id));
        let write = Write::RemoveParticipant { conversation: group.id, user: user.clone(), left_at: at };
        let change = Change::Left { conversation: group.id, user: user.clone(), admin: admin.clone(), at };
        if admin == group.admin {
            return stored(write, change);
        }
        let (id, name, avatar) = (group.id, group.name.clone(), group.avatar.clone());
        Progressed::Then(Box::new(move |broker, pending| {
            let heir = Write::UpdateConversation { conversation: id, name, avatar, admin, updated_at: at };
            if broker.store(heir, Awaiting::Nothing).is_err() {
                return broker.answer(pending.asker, Err(ChatError::StorageUnavailable));
            }
            broker.store_change(write, change, pending.asker);
        }))
    }

    /// Gives a change of a group to the store; further ones wait until it took effect.
    fn store_change(&mut self, write: Write, change: Change, asker: Asker) {
        let id = change.conversation();
        let is_deletion = matches!(change, Change::Deleted(_));
        if self.store_for(write, Awaiting::Conversation { change, asker }) {
            self.conversations.changing.entry(id).or_default();
            if is_deletion {
                self.questions.withdraw(id, None);
            }
        }
    }

    // ---- taking effect ----

    pub(super) fn apply_change(&mut self, change: Change, asker: Asker) {
        let now = self.now();
        match change {
            Change::Made(conversation) => {
                self.users.changes.note(&conversation.participants, now);
                self.join_members(&conversation, &conversation.participants);
                let now = conversation.created_at;
                self.keep_conversation((*conversation).clone(), None, now);
                self.answer(asker, Ok(Reply::Conversation { conversation: conversation.clone(), created: true }));
                if conversation.kind != ConversationKind::Group {
                    // They were told when it was made.
                    return;
                }
                self.tell_users(&conversation.participants, Event::ConversationChanged(conversation.clone()));
                if let Some(maker) = &conversation.admin {
                    let added = conversation.participants.iter().filter(|member| *member != maker);
                    self.notify_added(&conversation, added, maker, conversation.created_at);
                }
            }
            Change::Updated { conversation, name, avatar, admin, at } => {
                let changed = self.edit_cached(conversation, |group| {
                    group.name = name;
                    group.avatar = avatar;
                    group.admin = admin;
                    group.updated_at = at;
                });
                self.answer_changed(changed, asker);
            }
            Change::Joined { conversation, users, by, at } => {
                self.users.changes.note(&users, now);
                let changed = self.edit_cached(conversation, |group| {
                    let joining = those_not_in(&group.participants, &users);
                    group.participants.extend(joining);
                    group.updated_at = at;
                });
                let new: Vec<_> = users.into_iter().filter(|user| !self.is_member(user, conversation)).collect();
                if let Some(group) = &changed {
                    self.join_members(group, &new);
                }
                self.answer_changed(changed.clone(), asker);
                if let Some(group) = changed {
                    self.notify_added(&group, &new, &by, at);
                }
                self.hand_to_new_members(conversation, &new);
            }
            Change::Left { conversation, user, admin, at } => {
                self.users.changes.note([&user], now);
                let changed = self.edit_cached(conversation, |group| {
                    group.participants.retain(|member| *member != user);
                    group.admin = admin;
                    group.updated_at = at;
                });
                self.part(conversation, &user);
                self.answer(asker, Ok(Reply::Done));
                self.tell_users([&user], Event::ConversationDeleted { conversation });
                if let Some(group) = changed {
                    self.tell_users(&group.participants, Event::ConversationChanged(group.clone()));
                }
            }
            Change::Deleted(conversation) => {
                let gone =
                    self.conversations.at_hand.remove(&conversation).map(|cached| cached.conversation.participants.clone());
                let members = gone.unwrap_or_default();
                self.users.changes.note(&members, now);
                for member in &members {
                    self.part(conversation, member);
                }
                self.answer(asker, Ok(Reply::Done));
                self.tell_users(&members, Event::ConversationDeleted { conversation });
                // Some may have been stored, and so asked, since the deletion was given to the store.
                self.questions.withdraw(conversation, None);
                self.deletion_ended(conversation, None, true);
            }
        }
    }

    fn is_member(&self, user: &UserId, conversation: ConversationId) -> bool {
        let memberships = self.users.at_hand.get(user).map_or(&[][..], |user| &user.memberships);
        memberships.iter().any(|membership| membership.conversation == conversation)
    }

    /// Messages that were handed out while the joining was being stored are theirs too.
    fn hand_to_new_members(&mut self, conversation: ConversationId, users: &[UserId]) {
        let place = Place::Conversation(conversation);
        let under_way = self.sends.in_flight.values().filter(|in_flight| in_flight.is_handed && in_flight.message.place == place);
        let mut under_way: Vec<_> = under_way.map(|in_flight| (in_flight.message.position, in_flight.message.id)).collect();
        under_way.sort_unstable_by_key(|(position, _)| *position);
        for (position, id) in under_way {
            let mut spared = Spared::default();
            for socket in users.iter().flat_map(|user| self.sockets_of(user)) {
                // Its catch-up brings it.
                if let Some(session) = self.sessions.open.get(socket)
                    && session.catch_up.as_ref().is_some_and(|catch_up| catch_up.brings(position))
                {
                    spared.extend([(Some(*socket), session.socket)]);
                }
            }
            let Some(in_flight) = self.sends.in_flight.get(&id) else { continue };
            let event = Broadcast::new(in_flight.audience.event(in_flight.message.clone()));
            let (_, told) = self.tell_users_but(users, event, spared);
            if let Some(in_flight) = self.sends.in_flight.get_mut(&id) {
                in_flight.handed_sockets.extend(told);
            }
        }
    }

    fn answer_changed(&mut self, changed: Option<Arc<Conversation>>, asker: Asker) {
        let Some(conversation) = changed else { return self.answer(asker, Err(ChatError::ConversationNotFound)) };
        self.answer(asker, Ok(Reply::Conversation { conversation: conversation.clone(), created: false }));
        self.tell_users(&conversation.participants, Event::ConversationChanged(conversation.clone()));
    }

    fn edit_cached(&mut self, id: ConversationId, edit: impl FnOnce(&mut Conversation)) -> Option<Arc<Conversation>> {
        let cached: &mut CachedConversation = self.conversations.at_hand.get_mut(&id)?;
        edit(Arc::make_mut(&mut cached.conversation));
        cached.absent = None;
        Some(cached.conversation.clone())
    }

    /// Members who are at hand know of their membership, and their open sockets are in.
    pub(super) fn join_members(&mut self, conversation: &Conversation, members: &[UserId]) {
        let joined_position = self.sends.position;
        for member in members {
            let Some(user) = self.users.at_hand.get_mut(member).filter(|_| member.as_str() != MODEL_USER) else { continue };
            if user.membership(conversation.id).is_some() {
                continue;
            }
            user.memberships.push(Membership {
                conversation: conversation.id,
                kind: conversation.kind,
                other: (conversation.kind == ConversationKind::Direct).then(|| conversation.other_than(member).clone()),
                delivered_seq: conversation.last_seq,
                read_seq: 0,
                last_seq: conversation.last_seq,
                joined_position,
                name: None,
            });
            if conversation.kind == ConversationKind::Group {
                self.enter_group(conversation.id, member);
            }
        }
    }

    /// A member is out: their sockets hear nothing of it any more.
    fn part(&mut self, id: ConversationId, member: &UserId) {
        let Some(user) = self.users.at_hand.get_mut(member) else { return };
        user.memberships.retain(|membership| membership.conversation != id);
        // What a name of theirs was read to mean before may be this one.
        user.names_given += 1;
        let sockets: SmallVec<[ConnectionKey; 4]> = user.sessions.iter().copied().collect();
        self.part_parked(id, member);
        for socket in sockets {
            self.leave_one(&RoomKey::Group(id), socket);
            if let Some(change) = self.typing.stop(id, member, socket) {
                self.tell_typing(&change, Some(socket));
            }
            if let Some(places) = self.sessions.open.get_mut(&socket).and_then(|session| session.places.as_mut()) {
                places.forget(id);
            }
        }
    }
}

/// Those of `users` that are no members yet, each once.
fn those_not_in(members: &[UserId], users: &[UserId]) -> Vec<UserId> {
    let mut known: HashSet<&UserId> = members.iter().collect();
    users.iter().filter(|user| known.insert(user)).cloned().collect()
}

/// Has a change stored; it takes effect then.
fn stored(write: Write, change: Change) -> Progressed {
    Progressed::Then(Box::new(move |broker, pending| broker.store_change(write, change, pending.asker)))
}

fn updated(
    conversation: ConversationId,
    name: Option<String>,
    avatar: Option<String>,
    admin: Option<UserId>,
    at: Timestamp,
) -> Progressed {
    let write = Write::UpdateConversation {
        conversation,
        name: name.clone(),
        avatar: avatar.clone(),
        admin: admin.clone(),
        updated_at: at,
    };
    stored(write, Change::Updated { conversation, name, avatar, admin, at })
}

fn require_admin(group: &Conversation, user: &UserId) -> Result<(), ChatError> {
    if group.admin.as_ref() == Some(user) { Ok(()) } else { Err(ChatError::Forbidden) }
}
