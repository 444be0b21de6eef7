//! Each command: what it needs, what it checks, what it does.
use super::Broker;
use super::step::{DONE, Outcome};
use crate::auth::Claims;
use crate::chat::ports::{ChatError, Command, PresenceChange, Reply};
use crate::chat::query::Lookup;
use crate::chat::state::{AfterCommit, Running, Tokens};
use crate::model::{ChosenStatus, ConversationId, Description, Place};
use crate::store::Write;

impl Broker {
    /// Carries a command out as far as it can go by now. Nothing has changed where it needs more or is refused.
    pub(super) fn execute(&mut self, running: &mut Running) -> Outcome {
        let Some(user) = self.users.get(&running.user) else {
            return Err(if running.prefetched.users_read.contains(&running.user) {
                ChatError::UserNotFound.into()
            } else {
                Lookup::Users(vec![running.user.clone()]).into()
            });
        };
        if user.account.is_deleted {
            return Err(ChatError::UserNotFound.into());
        }
        match &running.command {
            Command::Send { .. } => self.send(running),
            Command::MarkRead { message } => self.mark_read(running, *message),
            Command::EditMessage { .. } | Command::DeleteMessage { .. } => self.change_message(running),
            Command::OpenConversation { conversation, groups_only } => self.open(running, *conversation, *groups_only),
            Command::LeaveConversation { conversation } => self.leave(running, *conversation),
            Command::Typing { conversation, active } => self.type_in(running, *conversation, *active),
            Command::JoinRoom { room } => self.join_room(running, room.clone()),
            Command::LeaveRoom { room } => self.leave_room(running, room),
            Command::JoinCommonChat => self.set_common_chat(running, true),
            Command::LeaveCommonChat => self.set_common_chat(running, false),
            Command::SetStatus { status } => self.set_status(running, *status),
            Command::RenewToken { claims } => self.renew_token(running, claims),
            Command::CreateGroup { .. }
            | Command::CreateDirect { .. }
            | Command::UpdateConversation { .. }
            | Command::DeleteConversation { .. }
            | Command::AddParticipants { .. }
            | Command::RemoveParticipant { .. } => self.change_conversation(running),
            Command::UpdateProfile { full_name, avatar } => self.update_profile(running, full_name.clone(), avatar.clone()),
            Command::Introduce { username } => self.introduce(running, username),
            Command::ListConversations => list_conversations(running),
            Command::ListConnections { limit } => Ok(Some(self.list_connections(&running.user, *limit))),
            Command::ListMessages { place, limit } => {
                let (place, limit) = (place.clone(), *limit);
                self.list_messages(running, place, limit)
            }
            Command::ListNotifications { limit } => {
                let limit = *limit;
                self.list_notifications(running, limit)
            }
            Command::Notify { .. } => self.notify_as_asked(running),
            #[expect(clippy::panic, reason = "the hook by which tests see that a panic stays with its command")]
            Command::TestPanic => panic!("as asked by a test"),
        }
    }

    fn type_in(&mut self, running: &Running, id: ConversationId, active: bool) -> Outcome {
        self.own_conversation(running, id)?;
        let Some(connection) = running.reply_to.connection() else { return DONE };
        let now = self.now();
        let change = if active {
            self.typing.start(id, &running.user, connection, now, self.options.typing_ttl)
        } else {
            self.typing.stop(id, &running.user, connection)
        };
        if let Some(change) = change {
            self.fan_out_typing(&change, Some(connection));
        }
        DONE
    }

    fn list_messages(&mut self, running: &mut Running, place: Place, limit: i64) -> Outcome {
        if let Place::Conversation(id) = place {
            self.own_conversation(running, id)?;
        }
        match running.prefetched.history.take() {
            Some(messages) => Ok(Some(Reply::Messages(messages))),
            None => Err(Lookup::History(place, limit).into()),
        }
    }

    fn set_status(&mut self, running: &Running, status: ChosenStatus) -> Outcome {
        let (user, reply_to) = (running.user.clone(), running.reply_to);
        let write = Write::SetStatus { user: user.clone(), status };
        self.store(write, AfterCommit::Status { user, status, reply_to })?;
        Ok(None)
    }

    /// A socket stays in by another token of its user.
    fn renew_token(&mut self, running: &Running, claims: &Claims) -> Outcome {
        if claims.user != running.user {
            return Err(ChatError::Forbidden.into());
        }
        self.check(claims).map_err(|_| ChatError::InvalidToken)?;
        if let Some(session) = running.reply_to.connection().and_then(|connection| self.sessions.get_mut(&connection)) {
            session.tokens = Tokens::of(claims);
        }
        Ok(Some(Reply::Renewed { expires_at: claims.expires_at }))
    }

    fn update_profile(
        &mut self,
        running: &Running,
        full_name: Option<Option<String>>,
        avatar: Option<Option<String>>,
    ) -> Outcome {
        // Else it could take, once it is in, the name under which it was not let in.
        if running.user.is_guest() {
            return Err(ChatError::Forbidden.into());
        }
        let (user, reply_to) = (running.user.clone(), running.reply_to);
        let write = Write::UpdateProfile { user: user.clone(), full_name: full_name.clone(), avatar: avatar.clone() };
        self.store(write, AfterCommit::Profile { user, full_name, avatar, reply_to })?;
        Ok(None)
    }
}

impl Broker {
    /// A guest says its name.
    fn introduce(&mut self, running: &Running, username: &str) -> Outcome {
        let now = self.now();
        let user = self.users.get(&running.user).ok_or(ChatError::UserNotFound)?;
        let (account, is_announced) = (user.account.clone(), user.is_announced);
        let description = Description { username: Some(username.to_owned()), said_at: Some(now), ..Description::default() };
        if !running.user.is_guest() || (!running.prefetched.is_described && description.is_known(&account)) {
            return Ok(Some(Reply::Account(account)));
        }
        if !running.prefetched.is_described {
            return Err(Lookup::Described(running.user.clone(), Box::new(description)).into());
        }
        if is_announced && account.status != ChosenStatus::Offline {
            let came = PresenceChange::Online { user: account.profile.clone(), status: account.status, came: true };
            self.presence.add(&running.user, came);
            self.fan_out_presence(now);
        }
        Ok(Some(Reply::Account(account)))
    }
}

fn list_conversations(running: &mut Running) -> Outcome {
    match running.prefetched.overviews.take() {
        Some(overviews) => Ok(Some(Reply::Conversations(overviews))),
        None => Err(Lookup::Overviews(running.user.clone()).into()),
    }
}
