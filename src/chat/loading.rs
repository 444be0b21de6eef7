//! Reads that commands wait for.
use std::sync::Arc;

use actix::{ActorFutureExt as _, AsyncContext as _, Context, WrapFuture as _};
use hashbrown::HashMap;

use super::ChatError;
use super::handed::Handed;
use super::made_users::Allowance;
use super::sent_ids::{SENT_IDS_MAX, SentIds};
use super::server::ChatServer;
use super::tables::{CachedConversation, Called, Pending, User, pair_key};
use crate::engineio::ConnectionKey;
use crate::meter::Metered as _;
use crate::model::{
    Account, Conversation, ConversationId, Description, File, Listing, ListingId, MODEL_USER, Message, MessageId, Notification,
    Timestamp, UserId, UserRole,
};
use crate::store::{
    self, ClientIdRow, Membership, NewUser, NotificationRange, Overview, OverviewLimits, Store, StoreError, Write,
};

/// A sender's own ids are remembered for so long.
const SENT_IDS_FOR_MS: i64 = 24 * 3_600_000;

/// One answer lists no more: the conversations last active, of each the longest-standing members.
const OVERVIEW_LIMITS: OverviewLimits = OverviewLimits { conversations: 1_000, members_of_each: 1_000, members: 20_000 };

/// Something that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// These users' accounts and memberships; unknown ones are made where provisioning is on.
    Users(Vec<UserId>),
    /// This user, made first.
    Provision(Box<NewUser>),
    /// This user, as a token describes it.
    Described(UserId, Box<Description>),
    /// A conversation.
    Conversation(ConversationId),
    /// The direct conversation of two users, and the second one's account.
    Direct(UserId, UserId),
    /// The conversation that a text means to a user.
    Called(UserId, String),
    /// The conversations of a user.
    Overviews(UserId),
    /// A message.
    Message(MessageId),
    /// The answer to a question.
    Answer(MessageId),
    /// The title of a listing.
    Title(ListingId),
    /// Uploads by URL.
    Uploads(Vec<String>),
    /// The `clientMessageId`s of a sender.
    SentIds(UserId),
    /// So many of a user's newest notifications.
    Notifications(UserId, i64),
}

impl Load {
    /// The same question, where it was asked once.
    fn again(self) -> Self {
        match self {
            Self::Provision(user) => Self::Users(vec![user.id]),
            Self::Described(user, _) => Self::Described(user, Box::default()),
            other => other,
        }
    }
}

/// What was read.
#[derive(Debug)]
pub enum Loaded {
    Users(Vec<(Account, Vec<Membership>)>),
    Described(Option<Account>),
    Conversation(Option<Found>),
    Direct(Option<Found>, Vec<(Account, Vec<Membership>)>),
    Called(Option<Found>),
    /// More users would have to be made than the sender may have made.
    TooManyToMake,
    Overviews(Vec<Overview>),
    Message(Option<Box<Message>>),
    Title(Option<String>),
    Uploads(Vec<(File, UserId)>),
    SentIds(Vec<ClientIdRow>),
    Notifications(Vec<Notification>),
}

/// A conversation, and when a message of it last changed.
type Found = (Conversation, Option<Timestamp>);

/// Who waits for a read.
#[derive(Debug)]
pub enum LoadFor {
    /// A command.
    Command(Box<Pending>),
    /// A client that wants to be admitted.
    Connect(ConnectionKey),
}

/// Whose account or memberships changed of late: what was read of them before is too old to be kept.
#[derive(Debug, Default)]
pub struct AccountChanges {
    count: u64,
    newest: HashMap<UserId, (u64, Timestamp)>,
}

impl AccountChanges {
    /// Those of these users changed.
    pub fn note<'a>(&mut self, users: impl IntoIterator<Item = &'a UserId>, now: Timestamp) {
        self.count += 1;
        self.newest.extend(users.into_iter().map(|user| (user.clone(), (self.count, now))));
    }

    /// The number of the newest change that concerns one of these users.
    pub fn newest_of<'a>(&self, users: impl IntoIterator<Item = &'a UserId>) -> u64 {
        users.into_iter().filter_map(|user| self.newest.get(user)).map(|(number, _)| *number).max().unwrap_or_default()
    }

    /// Forgets what no read can have begun before.
    pub fn forget_before(&mut self, then: Timestamp) {
        self.newest.retain(|_, (_, at)| *at >= then);
    }
}

impl ChatServer {
    /// Starts a read; its waiter goes on when it is there.
    pub(super) fn start_load(&mut self, load: Load, waiter: LoadFor, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let now = self.now();
        let mut allowance = self.allow_made(&load, &waiter, now);
        self.reads += 1;
        let (question, seen, seen_titles) = (load.clone(), self.changes_of(&load), self.titles.changes);
        let read = async move {
            let loaded = run(store, load, allowance.as_mut(), now).await;
            (loaded, allowance)
        };
        ctx.spawn(read.into_actor(self).map(move |(loaded, allowance), broker, ctx| {
            broker.reads = broker.reads.saturating_sub(1);
            if let (Some(left), LoadFor::Command(pending)) = (allowance, &waiter) {
                broker.made_users.give_back(&pending.user, left);
            }
            if loaded.is_ok() && seen != broker.changes_of(&question) {
                // What was read may be older than what has taken effect since.
                return broker.start_load(question.again(), waiter, ctx);
            }
            if let (Load::Title(listing), Ok(Loaded::Title(title))) = (&question, &loaded)
                && seen_titles == broker.titles.changes
            {
                broker.titles.keep(listing.clone(), title.clone());
            }
            broker.turn::<Load, _>(|broker| broker.on_loaded(&question, loaded, waiter, ctx));
            broker.note_rest();
        }));
    }

    /// How many users a read may make; `None`: none are made.
    fn allow_made(&mut self, load: &Load, waiter: &LoadFor, now: Timestamp) -> Option<Allowance> {
        let LoadFor::Command(pending) = waiter else { return None };
        let wanted = match load {
            Load::Users(users) => users.len(),
            Load::Direct(..) => 1,
            _ => return None,
        };
        let (provision, max) = (self.options.auto_provision_users, self.options.made_users_max);
        provision.then(|| self.made_users.reserve(&pending.user, wanted, max, now))
    }

    /// Which change was the newest of what a read is about.
    fn changes_of(&self, load: &Load) -> u64 {
        match load {
            Load::Users(users) => self.account_changes.newest_of(users),
            Load::Provision(user) => self.account_changes.newest_of([&user.id]),
            Load::Described(user, _) => self.account_changes.newest_of([user]),
            Load::Direct(_, other) => self.account_changes.newest_of([other]),
            Load::Uploads(_) => self.files_dropped,
            Load::Called(user, _) => self.users.get(user).map_or(0, |user| user.names_given),
            Load::Conversation(_)
            | Load::Overviews(_)
            | Load::Title(_)
            | Load::Notifications(..)
            | Load::Message(_)
            | Load::Answer(_)
            | Load::SentIds(_) => 0,
        }
    }

    fn on_loaded(&mut self, load: &Load, loaded: Result<Loaded, StoreError>, waiter: LoadFor, ctx: &mut Context<Self>) {
        match waiter {
            LoadFor::Command(mut pending) => {
                let outcome = match loaded {
                    Ok(Loaded::TooManyToMake) => {
                        let now = self.now();
                        Err(ChatError::RateLimited { retry_after: self.made_users.wait_of(&pending.user, now) })
                    }
                    Ok(loaded) => {
                        self.keep(load, loaded, Some(&mut pending));
                        Ok(())
                    }
                    Err(_) if matches!(load, Load::SentIds(_)) => {
                        pending.facts.sent_ids_unreadable = true;
                        Ok(())
                    }
                    Err(_) if let Load::Title(listing) = load => {
                        pending.facts.listing = Some(Listing { id: listing.clone(), title: None });
                        Ok(())
                    }
                    Err(error) => Err(error.into()),
                };
                self.resume(*pending, outcome, ctx);
            }
            LoadFor::Connect(connection) => {
                let is_known = matches!(load, Load::Described(..));
                let outcome = match loaded {
                    // Who is known comes in though the store is away.
                    Err(_) if is_known => Ok(()),
                    loaded => loaded.map(|loaded| self.keep(load, loaded, None)),
                };
                let may_describe = matches!(load, Load::Users(_));
                self.on_account_loaded(connection, outcome, may_describe, ctx);
            }
        }
    }

    /// Keeps what was read, in the caches or with the command. What a cache holds already is newer than any read.
    fn keep(&mut self, load: &Load, loaded: Loaded, pending: Option<&mut Pending>) {
        let now = self.now();
        match loaded {
            Loaded::Users(users) => {
                self.keep_users(users, now);
                if let (Some(pending), Load::Users(asked)) = (pending, load) {
                    pending.facts.users_read.extend(asked.iter().cloned());
                }
            }
            Loaded::Described(account) => account.into_iter().for_each(|account| self.follow(account)),
            Loaded::Conversation(found) => {
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
                if let Some(pending) = pending {
                    pending.facts.conversation_read = true;
                }
            }
            Loaded::Direct(found, users) => {
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
                self.keep_users(users, now);
                if let (Some(pending), Load::Direct(_, other)) = (pending, load) {
                    pending.facts.conversation_read = true;
                    pending.facts.users_read.push(other.clone());
                }
            }
            Loaded::Called(found) => {
                if let Some(pending) = pending {
                    let names_given = self.changes_of(load);
                    let conversation = found.as_ref().map(|(conversation, _)| conversation.id);
                    pending.facts.called = Some(Called { names_given, conversation });
                }
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
            }
            // Its waiter is refused.
            Loaded::TooManyToMake => {}
            Loaded::Overviews(overviews) => {
                if let Some(pending) = pending {
                    pending.facts.overviews = Some(overviews);
                }
            }
            Loaded::Message(message) => {
                let message = message.map(Arc::from);
                match (pending, load) {
                    (Some(pending), Load::Answer(_)) => pending.facts.answer = Some(message),
                    (Some(pending), _) => pending.facts.message = Some(message),
                    (None, _) => {}
                }
            }
            Loaded::Title(title) => {
                if let (Some(pending), Load::Title(listing)) = (pending, load) {
                    pending.facts.listing = Some(Listing { id: listing.clone(), title });
                }
            }
            Loaded::Uploads(uploads) => {
                if let Some(pending) = pending {
                    pending.facts.uploads = Some((self.files_dropped, uploads));
                }
            }
            Loaded::Notifications(notifications) => {
                if let Some(pending) = pending {
                    pending.facts.notifications = Some(notifications);
                }
            }
            Loaded::SentIds(rows) => {
                let Load::SentIds(sender) = load else { return };
                let Some(user) = self.users.get_mut(sender) else { return };
                user.sent.get_or_insert_with(|| Box::new(SentIds::of_rows(rows, now)));
            }
        }
    }

    pub(super) fn keep_users(&mut self, users: Vec<(Account, Vec<Membership>)>, now: Timestamp) {
        for (account, memberships) in users {
            let id = account.profile.id.clone();
            self.users.entry(id).or_insert_with(|| {
                Box::new(User {
                    account: Arc::new(account),
                    has_names: memberships.iter().any(|membership| membership.name.is_some()),
                    names_given: 0,
                    memberships,
                    sessions: Default::default(),
                    parked: Vec::new(),
                    is_announced: false,
                    offline_at: None,
                    sent: None,
                    // Nobody knows what was stored before.
                    unseen_noted: 1,
                    unseen_shown: 0,
                    used_at: now,
                })
            });
        }
    }

    /// `changed_at`: when a message of it last changed, where that is not when it changed itself. Later changes come after
    /// both.
    pub(super) fn keep_conversation(&mut self, conversation: Conversation, changed_at: Option<Timestamp>, now: Timestamp) {
        if let Some(key) = pair_key(&conversation) {
            self.directs.insert(key, conversation.id);
        }
        self.conversations.entry(conversation.id).or_insert_with(|| CachedConversation {
            updated_at: changed_at.unwrap_or_default().max(conversation.updated_at),
            handed: Handed::default(),
            in_flight: 0,
            is_progress_due: false,
            absent: None,
            used_at: now,
            conversation: Arc::new(conversation),
        });
    }
}

/// Reads behind all writes that were given before.
async fn run(store: Store, load: Load, allowance: Option<&mut Allowance>, now: Timestamp) -> Result<Loaded, StoreError> {
    match load {
        Load::Users(ids) => {
            let users = read_users(&store, ids, allowance, now).await?;
            Ok(users.map_or(Loaded::TooManyToMake, Loaded::Users))
        }
        Load::Provision(user) => {
            let id = user.id.clone();
            store.write(Write::CreateUser(user)).await?;
            let users = store.read_after_writes(move |conn| find_users(conn, &[id])).await?;
            Ok(Loaded::Users(users))
        }
        Load::Described(user, description) => Ok(Loaded::Described(describe(store, user, *description).await?)),
        Load::Conversation(id) => {
            let find = move |conn: &mut store::AnyConnection| with_last_change(conn, |conn| store::find_conversation(conn, id));
            Ok(Loaded::Conversation(store.read_after_writes(find).await?))
        }
        Load::Direct(one, other) => {
            let (first, second) = (one, other.clone());
            let find =
                move |conn: &mut store::AnyConnection| with_last_change(conn, |conn| store::find_direct(conn, &first, &second));
            let found = store.read_after_writes(find).await?;
            let users = read_users(&store, vec![other], allowance, now).await?;
            Ok(users.map_or(Loaded::TooManyToMake, |users| Loaded::Direct(found, users)))
        }
        Load::Called(user, text) => {
            let find =
                move |conn: &mut store::AnyConnection| with_last_change(conn, |conn| store::find_called(conn, &user, &text));
            Ok(Loaded::Called(store.read_after_writes(find).await?))
        }
        Load::Overviews(user) => {
            let read = store.read_after_writes(move |conn| store::list_overviews(conn, &user, OVERVIEW_LIMITS));
            Ok(Loaded::Overviews(read.await?))
        }
        Load::Message(id) | Load::Answer(id) => {
            let message = store.read_after_writes(move |conn| store::find_message(conn, id)).await?;
            Ok(Loaded::Message(message.map(Box::new)))
        }
        // A title that was confirmed is stored, and no send waits for what is not.
        Load::Title(listing) => Ok(Loaded::Title(store.read(move |conn| store::find_title(conn, &listing)).await?)),
        Load::Uploads(urls) => Ok(Loaded::Uploads(store.read_after_writes(move |conn| store::find_uploads(conn, &urls)).await?)),
        Load::Notifications(user, limit) => {
            let newest =
                move |conn: &mut store::AnyConnection| store::list_notifications(conn, &user, NotificationRange::Newest, limit);
            Ok(Loaded::Notifications(store.read_after_writes(newest).await?))
        }
        Load::SentIds(sender) => {
            let since = now.plus_millis(-SENT_IDS_FOR_MS);
            let limit = i64::try_from(SENT_IDS_MAX).unwrap_or(i64::MAX);
            let rows = store.read_after_writes(move |conn| store::list_client_ids(conn, &sender, since, limit)).await?;
            Ok(Loaded::SentIds(rows))
        }
    }
}

/// Has it stored what is said of a user. Returns the account as it is then.
pub(super) async fn describe(store: Store, user: UserId, description: Description) -> Result<Option<Account>, StoreError> {
    if description != Description::default() {
        store.write(Write::Describe { user: user.clone(), description }).await?;
    }
    store.read_after_writes(move |conn| store::find_account(conn, &user)).await
}

fn with_last_change(
    conn: &mut store::AnyConnection,
    find: impl FnOnce(&mut store::AnyConnection) -> store::QueryResult<Option<Conversation>>,
) -> store::QueryResult<Option<Found>> {
    let Some(conversation) = find(conn)? else { return Ok(None) };
    let changed_at = store::last_change(conn, conversation.id)?;
    Ok(Some((conversation, changed_at)))
}

/// Unknown ones are made where that is allowed; `None`: they are too many.
async fn read_users(
    store: &Store,
    ids: Vec<UserId>,
    allowance: Option<&mut Allowance>,
    now: Timestamp,
) -> Result<Option<Vec<(Account, Vec<Membership>)>>, StoreError> {
    let asked = ids.clone();
    let mut found = store.read_after_writes(move |conn| find_users(conn, &asked)).await?;
    let Some(allowance) = allowance else { return Ok(Some(found)) };
    let unknown: Vec<_> = ids.into_iter().filter(|id| found.iter().all(|(account, _)| account.profile.id != *id)).collect();
    let Some(left) = allowance.users.checked_sub(unknown.len()) else { return Ok(None) };
    allowance.users = left;
    for id in &unknown {
        store.write(Write::CreateUser(Box::new(bare_user(id.clone(), now)))).await?;
    }
    if !unknown.is_empty() {
        found.extend(store.read_after_writes(move |conn| find_users(conn, &unknown)).await?);
    }
    Ok(Some(found))
}

pub(super) fn find_users(conn: &mut store::AnyConnection, ids: &[UserId]) -> store::QueryResult<Vec<(Account, Vec<Membership>)>> {
    let mut users = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(account) = store::find_account(conn, id)? {
            // The model is a member of every chat with it, and nobody asks of which.
            let memberships = if id.as_str() == MODEL_USER { Vec::new() } else { store::load_memberships(conn, id)? };
            users.push((account, memberships));
        }
    }
    Ok(users)
}

/// A user who is known by nothing but an id: accounts live elsewhere.
fn bare_user(id: UserId, now: Timestamp) -> NewUser {
    NewUser {
        username: id.as_str().to_owned(),
        id,
        suffix_if_taken: true,
        email: None,
        full_name: None,
        password_hash: None,
        role: UserRole::User,
        described_at: None,
        created_at: now,
    }
}
