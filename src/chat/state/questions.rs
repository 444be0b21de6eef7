//! Questions for the model: one of each chat at a time, the others in the order of their arrival.
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::chat::ports::ModelError;
use crate::engineio::ConnectionKey;
use crate::hash::HashMap;
use crate::model::{ConversationId, Message, MessageId, Profile, UserId};

/// Maximum number of questions of a chat that wait behind the one that is asked.
const WAITING_PER_CHAT: usize = 10;

/// Maximum number of one user, in all chats together, so that one user does not fill the queue of all.
const WAITING_PER_USER: usize = 100;

/// Maximum number of all users together.
const WAITING_MAX: usize = 1_000;

/// A stored message that the model is to answer.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The message.
    pub message: MessageId,
    /// The chat.
    pub conversation: ConversationId,
    /// User who asks.
    pub requester: Arc<Profile>,
    /// Model that answers.
    pub model: Arc<Profile>,
    /// Alias that the requester has for the chat, as JSON.
    pub chat: Arc<str>,
    /// The socket that asked last, where it asked for an answer and did not just send a message.
    pub socket: Option<ConnectionKey>,
    /// Set if that socket wants the answer piece by piece.
    pub stream: bool,
}

impl Question {
    /// Returns whether it is to be answered when `message` is repeated: a requester who asks for an answer hears that a deleted
    /// message has none.
    pub(crate) fn is_due(&self, message: &Message) -> bool {
        self.socket.is_some() || message.deleted_at.is_none()
    }

    /// The answer's id.
    pub(crate) fn answer_id(&self) -> MessageId {
        answer_id(&self.model.id, self.message)
    }
}

/// A question has one answer, however often it is asked.
pub(crate) fn answer_id(model: &UserId, question: MessageId) -> MessageId {
    MessageId::of_client_id(model, &question.to_string())
}

/// The questions of one chat; the first one is asked, or is next.
#[derive(Debug, Default)]
struct Chat {
    questions: VecDeque<Question>,
    /// The number under which the first one is being asked.
    ticket: Option<u64>,
    /// Sender that makes the question stop once it is gone.
    asking: Option<oneshot::Sender<()>>,
    /// Set while the first one's answer is being stored.
    is_answered: bool,
    /// Text that the model has said to it so far, if it is streamed.
    said: String,
}

/// All questions that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// Tells whether there is a model that answers.
    pub has_model: bool,
    chats: HashMap<ConversationId, Chat>,
    /// Chats whose first question waits for its turn.
    due: VecDeque<ConversationId>,
    asked: HashMap<u64, ConversationId>,
    next_ticket: u64,
    /// Questions whose message, or chat, is being deleted: they are asked again if it stays.
    withdrawn: Vec<Question>,
    /// Receiver to notify when none is left.
    idle: Option<oneshot::Sender<()>>,
}

impl Questions {
    /// Returns the number of questions that the model is answering.
    pub(crate) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Takes a question.
    ///
    /// # Errors
    /// [`ModelError::Busy`], with the question, where too many wait already.
    pub(crate) fn add(&mut self, question: Question) -> Result<(), (Question, ModelError)> {
        if !self.has_room_for(&question) {
            return Err((question, ModelError::Busy { retry_after: None }));
        }
        let id = question.conversation;
        let chat = self.chats.entry(id).or_default();
        if chat.questions.is_empty() {
            self.due.push_back(id);
        }
        chat.questions.push_back(question);
        Ok(())
    }

    fn has_room_for(&self, question: &Question) -> bool {
        let in_chat = self.chats.get(&question.conversation).map_or(0, |chat| chat.questions.len());
        let all = || self.chats.values().flat_map(|chat| &chat.questions);
        let own = || all().filter(|other| other.requester.id == question.requester.id).count();
        in_chat <= WAITING_PER_CHAT && all().count() - self.asked.len() < WAITING_MAX && own() < WAITING_PER_USER
    }

    /// The next question whose turn it is while at most `concurrency` are asked at once, `per_user` of one user (0: any number),
    /// and its number.
    pub(crate) fn begin(&mut self, concurrency: usize, per_user: usize) -> Option<(u64, Question)> {
        while self.asked.len() < concurrency {
            let id = self.due.remove(self.next_due(per_user)?)?;
            let Some(chat) = self.chats.get_mut(&id) else { continue };
            let Some(question) = chat.questions.front().cloned() else { continue };
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            chat.ticket = Some(ticket);
            self.asked.insert(ticket, id);
            return Some((ticket, question));
        }
        None
    }

    /// The place of the first chat that is due and whose user has room for another question.
    fn next_due(&self, per_user: usize) -> Option<usize> {
        let requester = |id: &ConversationId| self.chats.get(id)?.questions.front().map(|question| &question.requester.id);
        let has_room = |user: &UserId| {
            let own = self.asked.values().filter(|id| requester(id).is_some_and(|other| other == user));
            per_user == 0 || own.count() < per_user
        };
        // A chat without questions is taken out.
        self.due.iter().position(|id| requester(id).is_none_or(has_room))
    }

    /// The question that is being asked under this number.
    pub(crate) fn find(&self, ticket: u64) -> Option<&Question> {
        self.chats.get(self.asked.get(&ticket)?)?.questions.front()
    }

    /// The model said more to a question; returns the question.
    pub(crate) fn hear(&mut self, ticket: u64, piece: &str) -> Option<&Question> {
        let chat = self.chats.get_mut(self.asked.get(&ticket)?)?;
        chat.said.push_str(piece);
        chat.questions.front()
    }

    /// The first question of a chat is about to be asked. Returns what ends when nobody waits for the answer any more.
    pub(crate) fn note_asked(&mut self, ticket: u64) -> Option<oneshot::Receiver<()>> {
        let chat = self.chats.get_mut(self.asked.get(&ticket)?)?;
        let (asking, wanted) = oneshot::channel();
        chat.asking = Some(asking);
        Some(wanted)
    }

    /// The answer to the question that is being asked under this number is given to the store.
    pub(crate) fn note_answered(&mut self, ticket: u64) {
        if let Some(chat) = self.asked.get(&ticket).and_then(|id| self.chats.get_mut(id)) {
            chat.is_answered = true;
        }
    }

    /// A message, or with `None` a whole chat, is being deleted: its questions wait for what becomes of that, and what the
    /// model says to them is not heard. One whose answer is being stored is answered.
    pub(crate) fn withdraw(&mut self, conversation: ConversationId, message: Option<MessageId>) {
        let Some(chat) = self.chats.get_mut(&conversation) else { return };
        let first = chat.questions.front().map(|first| first.message);
        let answered = first.filter(|_| chat.is_answered);
        let is_meant = |id: MessageId| Some(id) != answered && message.is_none_or(|message| message == id);
        if first.is_some_and(is_meant)
            && let Some(ticket) = chat.ticket.take()
        {
            self.asked.remove(&ticket);
            chat.asking = None;
            chat.said = String::new();
            self.due.push_back(conversation);
        }
        let (withdrawn, kept) = chat.questions.drain(..).partition(|question: &Question| is_meant(question.message));
        let withdrawn: VecDeque<Question> = withdrawn;
        chat.questions = kept;
        self.withdrawn.extend(withdrawn);
        if chat.questions.is_empty() {
            self.forget(conversation);
        }
    }

    /// Takes the questions that were withdrawn for a deletion, once its outcome is known.
    pub(crate) fn take_withdrawn(&mut self, conversation: ConversationId, message: Option<MessageId>) -> Vec<Question> {
        let is_meant = |question: &Question| {
            question.conversation == conversation && message.is_none_or(|message| message == question.message)
        };
        let (meant, others) = std::mem::take(&mut self.withdrawn).into_iter().partition(is_meant);
        self.withdrawn = others;
        meant
    }

    /// The chats in which a user has questions.
    pub(crate) fn chats_of(&self, user: &UserId) -> Vec<ConversationId> {
        let own = self.busy().filter(|(_, requester)| requester.id == *user);
        own.map(|(id, _)| id).collect()
    }

    /// Joins a question to the same message that is asked already, or waits: the socket that repeats it takes the place of
    /// the one that asked first. Returns what the model has said so far.
    pub(crate) fn join(&mut self, question: &Question) -> Option<&str> {
        let chat = self.chats.get_mut(&question.conversation)?;
        let known = chat.questions.iter_mut().find(|known| known.message == question.message)?;
        if question.socket.is_some() {
            (known.socket, known.stream) = (question.socket, question.stream);
        }
        let is_first = chat.questions.front().is_some_and(|first| first.message == question.message);
        Some(if is_first { &chat.said } else { "" })
    }

    /// The first question of a chat is done with; the next one is due.
    pub(crate) fn end(&mut self, conversation: ConversationId) -> Option<Question> {
        let chat = self.chats.get_mut(&conversation)?;
        if let Some(ticket) = chat.ticket.take() {
            self.asked.remove(&ticket);
        }
        chat.said = String::new();
        chat.asking = None;
        chat.is_answered = false;
        let ended = chat.questions.pop_front();
        if chat.questions.is_empty() {
            self.forget(conversation);
        } else {
            self.due.push_back(conversation);
        }
        ended
    }

    /// A chat has no question left.
    fn forget(&mut self, conversation: ConversationId) {
        self.chats.remove(&conversation);
        self.due.retain(|due| *due != conversation);
        if self.chats.is_empty()
            && let Some(idle) = self.idle.take()
        {
            // Who has stopped waiting need not know.
            let _ = idle.send(());
        }
    }

    /// Gives up all questions that are not being asked yet.
    pub(crate) fn drop_waiting(&mut self) -> Vec<Question> {
        self.due.clear();
        let mut dropped = Vec::new();
        self.chats.retain(|_, chat| {
            let kept = usize::from(chat.ticket.is_some());
            dropped.extend(chat.questions.drain(kept..));
            !chat.questions.is_empty()
        });
        dropped
    }

    /// The chats in which a question is being asked.
    pub(crate) fn asked_in(&self) -> Vec<ConversationId> {
        self.asked.values().copied().collect()
    }

    /// Chats with questions, and who asks there.
    pub(crate) fn busy(&self) -> impl Iterator<Item = (ConversationId, &Profile)> {
        self.chats.iter().filter_map(|(id, chat)| Some((*id, &*chat.questions.front()?.requester)))
    }

    /// Resolves when no question is left.
    pub(crate) fn when_idle(&mut self) -> oneshot::Receiver<()> {
        let (idle, waiter) = oneshot::channel();
        if self.chats.is_empty() {
            // The other end is here.
            let _ = idle.send(());
        } else {
            self.idle = Some(idle);
        }
        waiter
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::engineio::Slot;
    use crate::model::UserRole;

    fn profile(id: &str) -> Arc<Profile> {
        let id = UserId::parse(id).unwrap();
        let username = id.to_string();
        Arc::new(Profile { id, username, full_name: None, avatar: None, email: None, role: UserRole::User })
    }

    fn chat(number: u128) -> ConversationId {
        ConversationId::from_uuid(Uuid::from_u128(number))
    }

    fn question(requester: &str, conversation: u128, message: u128) -> Question {
        Question {
            message: MessageId::from_uuid(Uuid::from_u128(message)),
            conversation: chat(conversation),
            requester: profile(requester),
            model: profile("model"),
            chat: "\"x\"".into(),
            socket: None,
            stream: false,
        }
    }

    fn begin(questions: &mut Questions, concurrency: usize) -> Option<u128> {
        questions.begin(concurrency, 0).map(|(_, question)| question.message.as_uuid().as_u128())
    }

    #[test]
    fn one_of_a_chat_at_a_time_and_so_many_in_all() {
        let mut questions = Questions::default();
        for (conversation, message) in [(1, 10), (1, 11), (2, 20), (3, 30)] {
            questions.add(question("ann", conversation, message)).unwrap();
        }
        assert_eq!(begin(&mut questions, 2), Some(10));
        assert_eq!(begin(&mut questions, 2), Some(20));
        assert_eq!(begin(&mut questions, 2), None, "two are asked");
        questions.end(chat(1));
        assert_eq!(begin(&mut questions, 2), Some(30), "other chats come before the next of this one");
        questions.end(chat(3));
        assert_eq!(begin(&mut questions, 2), Some(11));
        questions.end(chat(1));
        questions.end(chat(2));
        assert_eq!(begin(&mut questions, 2), None);
        assert_eq!(questions.busy().count(), 0);
    }

    #[test]
    fn ten_of_a_chat_wait() {
        let mut questions = Questions::default();
        for message in 0..11 {
            questions.add(question("ann", 1, message)).unwrap();
        }
        begin(&mut questions, 1).unwrap();
        let (refused, error) = questions.add(question("ann", 1, 11)).unwrap_err();
        assert_eq!((refused.message.as_uuid().as_u128(), error), (11, ModelError::Busy { retry_after: None }));
        questions.end(chat(1));
        questions.add(question("ann", 1, 12)).unwrap();
    }

    #[test]
    fn one_user_leaves_room_for_others_and_all_have_a_bound() {
        let mut questions = Questions::default();
        for number in 0..100 {
            questions.add(question("ann", number, number)).unwrap();
        }
        questions.add(question("ann", 100, 100)).unwrap_err();
        for number in 1_000..1_900 {
            questions.add(question(&format!("user-{number}"), number, number)).unwrap();
        }
        questions.add(question("bob", 2_000, 2_000)).unwrap_err();
        begin(&mut questions, 1).unwrap();
        questions.add(question("bob", 2_000, 2_000)).unwrap();
    }

    #[test]
    fn who_repeats_a_question_takes_the_place_of_who_asked() {
        let mut questions = Questions::default();
        assert_eq!(questions.join(&question("ann", 1, 10)), None);
        questions.add(question("ann", 1, 10)).unwrap();
        questions.add(question("ann", 1, 11)).unwrap();
        let (ticket, _) = questions.begin(1, 0).unwrap();
        questions.hear(ticket, "Hel").unwrap();
        let socket = Some(ConnectionKey { worker: 0, slot: Slot { index: 1, generation: 0 } });
        let again = |message| Question { socket, stream: true, ..question("ann", 1, message) };
        assert_eq!(questions.join(&again(10)), Some("Hel"));
        assert_eq!(questions.join(&again(11)), Some(""));
        let sent_again = question("ann", 1, 10);
        assert_eq!(questions.join(&sent_again), Some("Hel"), "who does not wait for an answer takes no place");
        assert!(questions.hear(ticket, "lo").unwrap().stream);
    }

    #[test]
    fn what_waits_can_be_given_up_and_the_end_of_the_last_is_known() {
        let mut questions = Questions::default();
        assert!(questions.when_idle().try_recv().is_ok());
        for (conversation, message) in [(1, 10), (1, 11), (2, 20)] {
            questions.add(question("ann", conversation, message)).unwrap();
        }
        let (ticket, _) = questions.begin(1, 0).unwrap();
        let mut idle = questions.when_idle();
        assert_eq!(questions.drop_waiting().len(), 2);
        assert_eq!(questions.asked_in(), [chat(1)]);
        assert!(questions.find(ticket).is_some() && idle.try_recv().is_err());
        questions.end(chat(1));
        assert!(questions.find(ticket).is_none() && idle.try_recv().is_ok());
    }
}
