//! Notifications of messages that are owed and not given to the store yet.
use std::sync::Arc;

use crate::hash::HashMap;
use crate::model::{ConversationId, Message, UserId};

/// A message of which members are to be notified.
#[derive(Debug, Clone)]
pub(crate) struct Owed {
    pub conversation: ConversationId,
    pub message: Arc<Message>,
    /// Members without a socket, perhaps its sender among them.
    absent: Arc<[UserId]>,
}

impl Owed {
    /// Returns the users to whom it is owed.
    pub(crate) fn users(&self) -> impl Iterator<Item = &UserId> {
        self.absent.iter().filter(|user| **user != self.message.sender.id)
    }
}

/// Notifications that are owed and not given to the store yet.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    by_conversation: HashMap<ConversationId, Unwritten>,
}

/// Of one conversation.
#[derive(Debug, Default)]
struct Unwritten {
    /// In order.
    owed: Vec<Owed>,
    /// Number of these whose part for a user is written.
    written: HashMap<UserId, usize>,
}

impl Gathered {
    /// A message was stored.
    pub(crate) fn add(&mut self, conversation: ConversationId, message: &Arc<Message>, absent: Arc<[UserId]>) {
        if absent.is_empty() {
            return;
        }
        let unwritten = self.by_conversation.entry(conversation).or_default();
        let is_for_all = |sender: &UserId| !absent.contains(sender);
        match unwritten.owed.last_mut() {
            // Whom the last one is owed to gets this one instead.
            Some(last)
                if Arc::ptr_eq(&last.absent, &absent)
                    && unwritten.written.is_empty()
                    && (last.message.sender.id == message.sender.id || is_for_all(&message.sender.id)) =>
            {
                last.message = message.clone();
            }
            _ => unwritten.owed.push(Owed { conversation, message: message.clone(), absent }),
        }
    }

    /// Puts back notifications that could not be stored: they are owed as before.
    pub(crate) fn put_back(&mut self, owed: Vec<Owed>) {
        for owed in owed {
            let unwritten = self.by_conversation.entry(owed.conversation).or_default();
            unwritten.written.values_mut().for_each(|count| *count += 1);
            for user in owed.users() {
                unwritten.written.remove(user);
            }
            unwritten.owed.insert(0, owed);
        }
    }

    /// The newest of each user and conversation; nothing is left.
    pub(crate) fn take_all(&mut self) -> Vec<Owed> {
        std::mem::take(&mut self.by_conversation).into_values().flat_map(Unwritten::into_newest).collect()
    }

    /// The newest of each user in a conversation; nothing of it is left.
    pub(crate) fn take_in(&mut self, conversation: ConversationId) -> Vec<Owed> {
        self.by_conversation.remove(&conversation).map_or_else(Vec::new, Unwritten::into_newest)
    }

    /// The newest of each of these conversations that is owed to `user`.
    pub(crate) fn take_of(&mut self, user: &UserId, conversations: impl Iterator<Item = ConversationId>) -> Vec<Owed> {
        let newest = conversations.filter_map(|id| self.by_conversation.get_mut(&id)?.take_of(user));
        newest.collect()
    }
}

impl Unwritten {
    fn into_newest(self) -> Vec<Owed> {
        let Self { owed, written } = self;
        if owed.len() == 1 && written.is_empty() {
            return owed;
        }
        let mut newest: HashMap<&UserId, usize> = HashMap::default();
        for (place, one) in owed.iter().enumerate() {
            newest.extend(
                one.users().filter(|user| written.get(*user).is_none_or(|count| *count <= place)).map(|user| (user, place)),
            );
        }
        let is_newest = |place: usize, user: &UserId| newest.get(user) == Some(&place);
        let of_place = |(place, one): (usize, &Owed)| {
            let absent: Arc<[UserId]> = one.users().filter(|user| is_newest(place, user)).cloned().collect();
            (!absent.is_empty()).then(|| Owed { absent, ..one.clone() })
        };
        owed.iter().enumerate().filter_map(of_place).collect()
    }

    fn take_of(&mut self, user: &UserId) -> Option<Owed> {
        let count = self.owed.len();
        let written = self.written.insert(user.clone(), count).unwrap_or_default();
        let newest = self.owed.iter().skip(written).rfind(|owed| owed.users().any(|absent| absent == user))?;
        Some(Owed { absent: Arc::from([user.clone()]), ..newest.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{conversation_id, message_at, user};
    use super::*;

    fn absent(names: &[&str]) -> Arc<[UserId]> {
        names.iter().map(|name| user(name)).collect()
    }

    /// Lists users by name, each with the message that is owed.
    fn owed(owed: &[Owed]) -> Vec<(String, i64)> {
        let mut list: Vec<_> =
            owed.iter().flat_map(|owed| owed.users().map(|user| (user.to_string(), owed.message.position))).collect();
        list.sort();
        list
    }

    #[test]
    fn the_newest_is_owed_to_each_who_was_absent_once() {
        let mut gathered = Gathered::default();
        let one = conversation_id(1);
        gathered.add(one, &Arc::new(message_at(1)), absent(&["bob", "cid", "ann"]));
        gathered.add(one, &Arc::new(message_at(2)), absent(&["cid"]));
        gathered.add(one, &Arc::new(message_at(3)), Arc::default());
        assert_eq!(owed(&gathered.take_all()), [("bob".to_owned(), 1), ("cid".to_owned(), 2)], "and none to the sender");
        assert!(gathered.take_all().is_empty());
    }

    #[test]
    fn what_one_user_was_given_is_not_owed_again_until_it_is_put_back() {
        let mut gathered = Gathered::default();
        let one = conversation_id(1);
        gathered.add(one, &Arc::new(message_at(1)), absent(&["bob", "cid"]));
        let of_bob = gathered.take_of(&user("bob"), [one].into_iter());
        assert_eq!(owed(&of_bob), [("bob".to_owned(), 1)]);
        assert!(gathered.take_of(&user("bob"), [one].into_iter()).is_empty());
        gathered.put_back(of_bob);
        assert_eq!(owed(&gathered.take_in(one)), [("bob".to_owned(), 1), ("cid".to_owned(), 1)]);
    }
}
