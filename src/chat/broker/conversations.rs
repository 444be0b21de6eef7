//! The life of conversations: made, renamed, joined, left, deleted. What is stored takes effect on open sockets at once.
use std::sync::Arc;

use super::Broker;
use super::assistant::refuse_model;
use super::fan_out::Exclude;
use super::step::{Outcome, Step, Stop};
use crate::chat::ports::{Broadcast, ChatError, Command, ConversationReply, Event, Reply};
use crate::chat::query::Lookup;
use crate::chat::state::{AfterCommit, Change, ReplyTo, Running};
use crate::hash::HashSet;
use crate::model::{Conversation, ConversationId, ConversationKind, Place, Timestamp, UserId};
use crate::store::Write;

impl Broker {
    /// Checks a change of a conversation and stores it.
    pub(super) fn change_conversation(&mut self, running: &Running) -> Outcome {
        if let Some(id) = running.command.changed_group()
            && self.conversations.is_changing(id)
        {
            return Err(Stop::BehindGroup(id));
        }
        match &running.command {
            Command::CreateGroup { name, avatar, participants } => {
                refuse_model(participants)?;
                self.check_members(std::slice::from_ref(&running.user), participants)?;
                self.require_users(running, participants)?;
                self.create_group(running, name.clone(), avatar.clone(), participants)
            }
            Command::CreateDirect { participant } => self.create_direct(running, participant),
            Command::UpdateConversation { conversation, name, avatar } => {
                let group = self.own_group(running, *conversation)?;
                require_admin(&group, &running.user)?;
                let at = self.next_time_in(&Place::Conversation(group.id));
                let name = name.clone().or_else(|| group.name.clone());
                let avatar = avatar.clone().unwrap_or_else(|| group.avatar.clone());
                self.update_group(running, group.id, name, avatar, group.admin.clone(), at)
            }
            Command::DeleteConversation { conversation } => {
                let found = self.own_conversation(running, *conversation)?;
                match found.kind {
                    ConversationKind::Direct => return Err(ChatError::Forbidden.into()),
                    ConversationKind::Group => require_admin(&found, &running.user)?,
                    // A chat with the model is its user's alone.
                    ConversationKind::Ai => {}
                }
                let write = Write::DeleteConversation { conversation: found.id };
                self.store_change(write, Change::Deleted(found.id), running.reply_to)
            }
            Command::AddParticipants { conversation, participants } => {
                let group = self.own_group(running, *conversation)?;
                require_admin(&group, &running.user)?;
                refuse_model(participants)?;
                self.check_members(&group.participants, participants)?;
                self.require_users(running, participants)?;
                self.add_participants(running, &group, participants)
            }
            Command::RemoveParticipant { conversation, participant } => {
                let group = self.own_group(running, *conversation)?;
                if *participant != running.user {
                    require_admin(&group, &running.user)?;
                }
                if !group.has(participant) {
                    return Err(ChatError::UserNotFound.into());
                }
                self.remove_participant(running, &group, participant)
            }
            _ => Err(ChatError::Internal.into()),
        }
    }

    /// Checks that a group has room for these, beside its members.
    fn check_members(&self, members: &[UserId], joining: &[UserId]) -> Result<(), ChatError> {
        let max = self.options.max_group_members;
        let is_full = max > 0 && members.len() + those_not_in(members, joining).len() > max;
        if is_full { Err(ChatError::TooLarge("too many members (MAX_GROUP_MEMBERS)")) } else { Ok(()) }
    }

    fn own_group(&mut self, running: &Running, id: ConversationId) -> Step<Arc<Conversation>> {
        let conversation = self.own_conversation(running, id)?;
        if conversation.kind == ConversationKind::Group { Ok(conversation) } else { Err(ChatError::Forbidden.into()) }
    }

    /// Requires all of `users` to be at hand.
    fn require_users(&self, running: &Running, users: &[UserId]) -> Step<()> {
        let unknown: Vec<_> = users.iter().filter(|user| !self.users.contains(user)).cloned().collect();
        if unknown.iter().any(|user| running.prefetched.users_read.contains(user)) {
            return Err(ChatError::UserNotFound.into());
        }
        if unknown.is_empty() { Ok(()) } else { Err(Lookup::Users(unknown).into()) }
    }

    fn create_group(&mut self, running: &Running, name: String, avatar: Option<String>, others: &[UserId]) -> Outcome {
        let mut participants = vec![running.user.clone()];
        let others = those_not_in(&participants, others);
        participants.extend(others);
        let now = self.now();
        let conversation = Arc::new(Conversation {
            id: ConversationId::from_uuid(self.new_id()),
            kind: ConversationKind::Group,
            name: Some(name),
            avatar,
            admin: Some(running.user.clone()),
            participants,
            last_message: None,
            last_seq: 0,
            created_at: now,
            updated_at: now,
        });
        let write = Write::CreateConversation { conversation: conversation.clone(), joined_position: self.sends.position() };
        self.store_change(write, Change::Made(conversation), running.reply_to)
    }

    fn create_direct(&mut self, running: &Running, other: &UserId) -> Outcome {
        let target = self.pair_target(running, other)?;
        let Some(conversation) = target.new_conversation else {
            let cached = self.cached(&target.place).ok_or(ChatError::ConversationNotFound)?;
            return Ok(Some(Reply::Conversation(ConversationReply {
                conversation: cached.conversation.clone(),
                created: false,
            })));
        };
        // It is in use at once, as when a message makes it, so that nobody makes it twice.
        self.make_conversation(&conversation)?;
        let change = Change::Made(conversation);
        self.store(Write::Barrier, AfterCommit::Conversation { change, reply_to: running.reply_to })?;
        Ok(None)
    }

    fn add_participants(&mut self, running: &Running, group: &Arc<Conversation>, users: &[UserId]) -> Outcome {
        let joining = those_not_in(&group.participants, users);
        if joining.is_empty() {
            return Ok(Some(Reply::Conversation(ConversationReply { conversation: group.clone(), created: false })));
        }
        let at = self.next_time_in(&Place::Conversation(group.id));
        let write = Write::AddParticipants {
            conversation: group.id,
            users: joining.clone(),
            joined_at: at,
            joined_position: self.sends.position(),
        };
        let change = Change::Joined { conversation: group.id, users: joining, by: running.user.clone(), at };
        self.store_change(write, change, running.reply_to)
    }

    fn remove_participant(&mut self, running: &Running, group: &Arc<Conversation>, user: &UserId) -> Outcome {
        let Some(next) = group.participants.iter().find(|member| *member != user) else {
            let write = Write::DeleteConversation { conversation: group.id };
            return self.store_change(write, Change::Deleted(group.id), running.reply_to);
        };
        let admin = if group.admin.as_ref() == Some(user) { Some(next.clone()) } else { group.admin.clone() };
        let at = self.next_time_in(&Place::Conversation(group.id));
        let write = Write::RemoveParticipant { conversation: group.id, user: user.clone(), left_at: at };
        let change = Change::Left { conversation: group.id, user: user.clone(), admin: admin.clone(), at };
        if admin != group.admin {
            let (conversation, name, avatar) = (group.id, group.name.clone(), group.avatar.clone());
            let heir = Write::UpdateConversation { conversation, name, avatar, admin, updated_at: at };
            self.store(heir, AfterCommit::Nothing)?;
        }
        self.store_change(write, change, running.reply_to)
    }

    /// Gives a change of a group to the store; further ones wait until it took effect.
    fn store_change(&mut self, write: Write, change: Change, reply_to: ReplyTo) -> Outcome {
        let id = change.conversation();
        let is_deletion = matches!(change, Change::Deleted(_));
        self.store(write, AfterCommit::Conversation { change, reply_to })?;
        self.conversations.begin_change(id);
        if is_deletion {
            self.questions.withdraw(id, None);
        }
        Ok(None)
    }

    fn update_group(
        &mut self,
        running: &Running,
        conversation: ConversationId,
        name: Option<String>,
        avatar: Option<String>,
        admin: Option<UserId>,
        at: Timestamp,
    ) -> Outcome {
        let write = Write::UpdateConversation {
            conversation,
            name: name.clone(),
            avatar: avatar.clone(),
            admin: admin.clone(),
            updated_at: at,
        };
        let change = Change::Updated { conversation, name, avatar, admin, at };
        self.store_change(write, change, running.reply_to)
    }

    pub(super) fn apply_change(&mut self, change: Change, reply_to: ReplyTo) {
        let now = self.now();
        match change {
            Change::Made(conversation) => {
                self.users.changes.note(&conversation.participants, now);
                self.join_members(&conversation, &conversation.participants);
                let now = conversation.created_at;
                self.keep_conversation((*conversation).clone(), None, now);
                self.answer(
                    reply_to,
                    Ok(Reply::Conversation(ConversationReply { conversation: conversation.clone(), created: true })),
                );
                if conversation.kind != ConversationKind::Group {
                    // They were notified when it was made.
                    return;
                }
                self.fan_out_to_users(&conversation.participants, Event::ConversationChanged(conversation.clone()));
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
                self.answer_changed(changed, reply_to);
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
                self.answer_changed(changed.clone(), reply_to);
                if let Some(group) = changed {
                    self.notify_added(&group, &new, &by, at);
                }
                self.dispatch_to_new_members(conversation, &new);
            }
            Change::Left { conversation, user, admin, at } => {
                self.users.changes.note([&user], now);
                let changed = self.edit_cached(conversation, |group| {
                    group.participants.retain(|member| *member != user);
                    group.admin = admin;
                    group.updated_at = at;
                });
                self.part(conversation, &user);
                self.answer(reply_to, Ok(Reply::Done));
                self.fan_out_to_users([&user], Event::ConversationDeleted { conversation });
                if let Some(group) = changed {
                    self.fan_out_to_users(&group.participants, Event::ConversationChanged(group.clone()));
                }
            }
            Change::Deleted(conversation) => {
                let gone = self.conversations.remove(&conversation).map(|cached| cached.conversation.participants.clone());
                let members = gone.unwrap_or_default();
                self.users.changes.note(&members, now);
                for member in &members {
                    self.part(conversation, member);
                }
                self.answer(reply_to, Ok(Reply::Done));
                self.fan_out_to_users(&members, Event::ConversationDeleted { conversation });
                // Some may have been stored, and so asked, since the deletion was given to the store.
                self.questions.withdraw(conversation, None);
                self.deletion_ended(conversation, None, true);
            }
        }
    }

    /// Messages that were dispatched while the joining was being stored are theirs too.
    fn dispatch_to_new_members(&mut self, conversation: ConversationId, users: &[UserId]) {
        let place = Place::Conversation(conversation);
        let under_way = self.sends.iter().filter(|in_flight| in_flight.is_dispatched && in_flight.message.place == place);
        let mut under_way: Vec<_> = under_way.map(|in_flight| (in_flight.message.position, in_flight.message.id)).collect();
        under_way.sort_unstable_by_key(|(position, _)| *position);
        for (position, id) in under_way {
            let mut excluded = Exclude::default();
            for socket in users.iter().flat_map(|user| self.sockets_of(user)) {
                // Its catch-up brings it.
                if let Some(session) = self.sessions.get(socket)
                    && session.catch_up.as_ref().is_some_and(|catch_up| catch_up.brings(position))
                {
                    excluded.extend([(Some(*socket), session.socket)]);
                }
            }
            let Some(in_flight) = self.sends.get(&id) else { continue };
            let event = Broadcast::new(in_flight.audience.event(in_flight.message.clone()));
            let (_, notified) = self.fan_out_to_users_except(users, event, excluded);
            if let Some(in_flight) = self.sends.get_mut(&id) {
                in_flight.dispatched_sockets.extend(notified);
            }
        }
    }

    fn answer_changed(&mut self, changed: Option<Arc<Conversation>>, reply_to: ReplyTo) {
        let Some(conversation) = changed else { return self.answer(reply_to, Err(ChatError::ConversationNotFound)) };
        self.answer(reply_to, Ok(Reply::Conversation(ConversationReply { conversation: conversation.clone(), created: false })));
        self.fan_out_to_users(&conversation.participants, Event::ConversationChanged(conversation.clone()));
    }
}

/// Returns the users of `users` that are no members yet, each once.
fn those_not_in(members: &[UserId], users: &[UserId]) -> Vec<UserId> {
    let mut known: HashSet<&UserId> = members.iter().collect();
    users.iter().filter(|user| known.insert(user)).cloned().collect()
}

fn require_admin(group: &Conversation, user: &UserId) -> Result<(), ChatError> {
    if group.admin.as_ref() == Some(user) { Ok(()) } else { Err(ChatError::Forbidden) }
}
