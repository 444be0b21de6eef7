//! Presence: who is online for whom, how that is fanned out, and what of it is stored.
use std::sync::Arc;

use log::info;

use super::Broker;
use super::fan_out::Exclude;
use crate::chat::ports::{Broadcast, Event, PresenceChange, Reply, RoomKey, UserPresence};
use crate::chat::state::{AfterCommit, ReplayExclude};
use crate::config::PresenceScope;
use crate::engineio::ConnectionKey;
use crate::model::{Account, ChosenStatus, ConversationKind, SocketId, Timestamp, UserId};
use crate::store::Write;

impl Broker {
    // ---- changes ----

    /// A socket was admitted: its user may have come online.
    pub(super) fn announce(&mut self, id: &UserId, connection: ConnectionKey) {
        let Some(user) = self.users.get_mut(id) else { return };
        let own = PresenceChange::Online { user: user.account.profile.clone(), status: user.account.status, came: true };
        if user.is_announced {
            if self.presence.is_coming(id) {
                // It is sent with all others.
                return;
            }
            let event = Arc::new(Broadcast::new(Event::Presence(vec![own])));
            return self.fan_out_to([connection], &event);
        }
        user.is_announced = true;
        self.presence.announced();
        if user.account.status == ChosenStatus::Offline {
            // Appears offline to all but himself.
            let event = Arc::new(Broadcast::new(Event::Presence(vec![own])));
            return self.fan_out_to([connection], &event);
        }
        self.presence.add(id, own);
    }

    /// A user may have gone: the last socket closed and none came within the time of grace.
    pub(super) fn announce_if_gone(&mut self, id: &UserId, now: Timestamp) {
        let Some(user) = self.users.get_mut(id) else { return };
        if !user.sessions.is_empty() || !user.is_announced {
            return;
        }
        user.is_announced = false;
        self.presence.gone();
        if user.account.status != ChosenStatus::Offline {
            self.presence.add(id, PresenceChange::Offline { user: id.clone(), last_seen: now });
        }
    }

    /// A user chose a presence.
    pub(super) fn choose_status(&mut self, id: &UserId, status: ChosenStatus) {
        let now = self.now();
        let Some(user) = self.users.get_mut(id) else { return };
        let before = user.account.status;
        if status == before {
            return;
        }
        let account = Arc::make_mut(&mut user.account);
        account.status = status;
        if status == ChosenStatus::Offline {
            account.last_seen = Some(now);
            self.due.progress.saw_last(id, now);
            self.presence.unstored.went(id);
        } else if !user.sessions.is_empty() {
            self.presence.unstored.came(id);
        }
        let profile = user.account.profile.clone();
        if !user.is_announced {
            return;
        }
        if status == ChosenStatus::Offline {
            self.presence.add(id, PresenceChange::Offline { user: id.clone(), last_seen: now });
        } else {
            let came = before == ChosenStatus::Offline;
            self.presence.add(id, PresenceChange::Online { user: profile, status, came });
        }
    }

    /// Fans out the changes that wait and may leave by now.
    pub(super) fn fan_out_presence(&mut self, now: Timestamp) {
        let changes = self.presence.take(now);
        if changes.is_empty() {
            return;
        }
        if self.is_scope_contacts() {
            return self.fan_out_to_contacts(changes);
        }
        let (hiding, plain): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(id, change)| self.is_hiding(id, change));
        if !plain.is_empty() {
            let plain = plain.into_iter().map(|(_, change)| change).collect();
            self.fan_out_to_everyone(Broadcast::new(Event::Presence(plain)), Vec::new());
        }
        for (id, change) in hiding {
            self.fan_out_to_everyone(Broadcast::new(Event::Presence(vec![change])), vec![id.clone()]);
            self.notify_hidden(&id);
        }
    }

    /// Returns whether a change says that somebody is offline who has sockets and only appears so.
    fn is_hiding(&self, id: &UserId, change: &PresenceChange) -> bool {
        matches!(change, PresenceChange::Offline { .. }) && !self.sockets_of(id).is_empty()
    }

    /// Notifies the sockets of a user who appears offline that they are not.
    fn notify_hidden(&mut self, id: &UserId) {
        let Some(user) = self.users.get(id) else { return };
        let own = PresenceChange::Online { user: user.profile().clone(), status: user.account.status, came: false };
        self.fan_out_to_users([id], Event::Presence(vec![own]));
    }

    /// Tells each change to those who share a conversation that is at hand with its user, and to the user.
    fn fan_out_to_contacts(&mut self, changes: Vec<(UserId, PresenceChange)>) {
        for (id, change) in changes {
            let mut contacts = self.contacts_of(&id);
            if self.is_hiding(&id, &change) {
                contacts.retain(|contact| *contact != id);
                self.notify_hidden(&id);
            }
            // Who comes needs not be notified of it once more when coming back: ten thousand who are idle would each keep that.
            let has_come = matches!(change, PresenceChange::Online { came: true, .. });
            let users = if has_come { vec![id] } else { Vec::new() };
            let excluded = Exclude { except: ReplayExclude { users, ..ReplayExclude::default() }, ..Exclude::default() };
            self.fan_out_to_users_except(&contacts, Broadcast::new(Event::Presence(vec![change])), excluded);
        }
    }

    /// The user, and those online who share a conversation with them, in the order of their ids.
    fn contacts_of(&self, id: &UserId) -> Vec<UserId> {
        let mut contacts = vec![id.clone()];
        let memberships = self.users.get(id).map_or(&[][..], |user| &user.memberships);
        for membership in memberships {
            match self.conversations.get(&membership.conversation) {
                Some(cached) => contacts.extend(cached.conversation.participants.iter().cloned()),
                None => contacts.extend(membership.other.iter().cloned()),
            }
            if membership.kind == ConversationKind::Group
                && let Some(room) = self.rooms.find(&RoomKey::Group(membership.conversation))
            {
                contacts.extend(room.connections().filter_map(|key| self.sessions.get(&key)).map(|session| session.user.clone()));
            }
        }
        contacts.sort_unstable();
        contacts.dedup();
        contacts
    }

    /// Returns whether presence goes only to users who share a conversation.
    fn is_scope_contacts(&mut self) -> bool {
        if self.options.presence_scope == PresenceScope::Contacts {
            return true;
        }
        let (narrowed, is_news) = self.presence.narrow(self.options.presence_everyone_max);
        if is_news {
            info!(online = self.presence.online(); "presence goes to contacts only: more than PRESENCE_EVERYONE_MAX are online");
        }
        narrowed
    }

    // ---- what others may see ----

    pub(in crate::chat) fn presence_of(&self, requester: &UserId, id: &UserId) -> UserPresence {
        let Some(user) = self.users.get(id) else {
            return UserPresence { is_online: false, status: ChosenStatus::Offline, last_seen: None };
        };
        let status = user.account.status;
        let is_shown = id == requester || status != ChosenStatus::Offline;
        let is_online = !user.sessions.is_empty() && is_shown;
        UserPresence {
            is_online,
            status: if is_online { status } else { ChosenStatus::Offline },
            last_seen: user.account.last_seen,
        }
    }

    /// Lists who is online, as far as a user may see it, by name.
    pub(in crate::chat) fn online_users(&mut self, requester: &UserId) -> Vec<(Arc<Account>, UserPresence)> {
        let contacts = self.is_scope_contacts().then(|| self.contacts_of(requester));
        let mut online: Vec<_> = self
            .users
            .iter()
            .map(|(_, user)| user)
            .filter(|user| contacts.as_ref().is_none_or(|contacts| contacts.binary_search(&user.account.profile.id).is_ok()))
            .map(|user| (user.account.clone(), self.presence_of(requester, &user.account.profile.id)))
            .filter(|(_, presence)| presence.is_online)
            .collect();
        online.sort_by(|(one, _), (other, _)| one.profile.username.cmp(&other.profile.username));
        online
    }

    /// Lists the sockets that `requester` may see, the own ones first: those of users who are online for the requester's eyes.
    /// In the scope of everyone these are few, else they are the contacts'.
    pub(super) fn list_connections(&mut self, requester: &UserId, limit: usize) -> Reply {
        let own = self.sockets_of(requester).to_vec();
        let others: Vec<ConnectionKey> = if self.is_scope_contacts() {
            let contacts = self.contacts_of(requester);
            contacts.iter().filter(|user| *user != requester).flat_map(|user| self.sockets_of(user)).copied().collect()
        } else {
            self.sessions.iter().map(|(connection, _)| *connection).filter(|connection| !own.contains(connection)).collect()
        };
        let sessions = own.iter().chain(&others).filter_map(|key| self.sessions.get(key));
        let (mut connections, mut total) = (Vec::new(), 0);
        for session in sessions.filter(|session| self.presence_of(requester, &session.user).is_online) {
            total += 1;
            if connections.len() < limit
                && let Some(user) = self.users.get(&session.user)
            {
                connections.push((user.profile().clone(), session.socket));
            }
        }
        Reply::Connections { connections, total }
    }

    /// The public ids of a user's sockets.
    pub(in crate::chat) fn socket_ids_of(&self, user: &UserId) -> Vec<SocketId> {
        self.sockets_of(user).iter().filter_map(|key| self.sessions.get(key)).map(|session| session.socket).collect()
    }

    // ---- storing ----

    /// Stores who came and went, and that the server runs.
    pub(super) fn save_online(&mut self) {
        let now = self.now();
        let is_anybody_here = self.presence.online() > 0;
        let Some((came, gone)) = self.presence.unstored.take(is_anybody_here, now) else { return };
        let write = Write::Online { came: came.clone(), gone: gone.clone(), at: now };
        if let Err(refused) = self.store_or_return(write, AfterCommit::Online { came, gone })
            && let AfterCommit::Online { came, gone } = refused.1
        {
            self.presence.unstored.put_back(came, gone);
        }
    }

    /// Stores what is only known here before the process ends.
    pub(super) fn store_last_seen(&mut self, seen: Vec<(UserId, Timestamp)>) {
        for (user, last_seen) in seen {
            // Refused only while the store is away: the next one will do.
            if self.store(Write::SetLastSeen { user: user.clone(), last_seen }, AfterCommit::Nothing).is_err() {
                self.due.progress.saw_last(&user, last_seen);
            }
        }
    }
}
