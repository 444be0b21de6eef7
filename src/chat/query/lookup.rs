//! Reads that commands and coming clients wait for.
use crate::chat::state::{Allowance, Running, SENT_IDS_MAX};
use crate::engineio::ConnectionKey;
use crate::model::{
    Account, Conversation, ConversationId, Description, File, ListingId, MODEL_USER, Message, MessageId, Notification, Place,
    Timestamp, UserId, UserRole, marked_name, name_of_id,
};
use crate::store::{
    self, ClientIdRow, HistoryRange, Membership, NewUser, NotificationRange, Overview, OverviewLimits, Store, StoreError, Write,
};

/// A sender's own ids are remembered for so long.
const SENT_IDS_FOR_MS: i64 = 24 * 3_600_000;

/// One answer lists no more: the conversations last active, of each the longest-standing members.
const OVERVIEW_LIMITS: OverviewLimits = OverviewLimits { conversations: 1_000, members_of_each: 1_000, members: 20_000 };

/// Something that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lookup {
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
    Alias(UserId, String),
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
    /// Newest notifications of a user, at most so many.
    Notifications(UserId, i64),
    /// Newest messages of a place, at most so many.
    History(Place, i64),
}

impl Lookup {
    /// The same question, where it was asked once.
    pub(crate) fn again(self) -> Self {
        match self {
            Self::Provision(user) => Self::Users(vec![user.id]),
            Self::Described(user, _) => Self::Described(user, Box::default()),
            other => other,
        }
    }
}

/// Result of a read.
#[derive(Debug)]
pub(crate) enum LookedUp {
    Users(Vec<(Account, Vec<Membership>)>),
    Described(Option<Account>),
    Conversation(Option<FoundConversation>),
    Direct(Option<FoundConversation>, Vec<(Account, Vec<Membership>)>),
    Alias(Option<FoundConversation>),
    /// More users would have to be made than the sender may have made.
    TooManyToMake,
    Overviews(Vec<Overview>),
    Message(Option<Box<Message>>),
    Title(Option<String>),
    Uploads(Vec<(File, UserId)>),
    SentIds(Vec<ClientIdRow>),
    Notifications(Vec<Notification>),
    History(Vec<Message>),
}

/// A conversation, and when a message of it last changed.
pub(super) type FoundConversation = (Conversation, Option<Timestamp>);

/// Waiter for a read.
#[derive(Debug)]
pub(crate) enum LookupFor {
    /// A command.
    Command(Box<Running>),
    /// A client that wants to be admitted.
    Connect(ConnectionKey),
}

/// A read, and who goes on with it.
#[derive(Debug)]
pub(crate) struct LookupQuery {
    pub lookup: Lookup,
    pub waiter: LookupFor,
    /// Number of users that may be made by it; `None`: none are made.
    pub allowance: Option<Allowance>,
    /// The newest change of what it is about, and of titles, when it began.
    pub seen: (u64, u64),
    pub now: Timestamp,
}

impl LookupQuery {
    /// Reads behind all writes that were given before. What is left of the allowance stays with the query.
    pub(crate) async fn read(&mut self, store: Store) -> Result<LookedUp, StoreError> {
        run(store, self.lookup.clone(), self.allowance.as_mut(), self.now).await
    }
}

async fn run(store: Store, lookup: Lookup, allowance: Option<&mut Allowance>, now: Timestamp) -> Result<LookedUp, StoreError> {
    match lookup {
        Lookup::Users(ids) => {
            let users = read_users(&store, ids, allowance, now).await?;
            Ok(users.map_or(LookedUp::TooManyToMake, LookedUp::Users))
        }
        Lookup::Provision(user) => {
            let id = user.id.clone();
            let username = name_for(&store, &id, user.username.clone()).await?;
            store.write(Write::CreateUser(Box::new(NewUser { username, ..*user }))).await?;
            let users = store.read_after_writes(move |conn| find_users(conn, &[id])).await?;
            Ok(LookedUp::Users(users))
        }
        Lookup::Described(user, description) => Ok(LookedUp::Described(describe(store, user, *description).await?)),
        Lookup::Conversation(id) => {
            let find = move |conn: &mut store::AnyConnection| with_last_change(conn, |conn| store::find_conversation(conn, id));
            Ok(LookedUp::Conversation(store.read_after_writes(find).await?))
        }
        Lookup::Direct(one, other) => {
            let (first, second) = (one, other.clone());
            let find =
                move |conn: &mut store::AnyConnection| with_last_change(conn, |conn| store::find_direct(conn, &first, &second));
            let found = store.read_after_writes(find).await?;
            let users = read_users(&store, vec![other], allowance, now).await?;
            Ok(users.map_or(LookedUp::TooManyToMake, |users| LookedUp::Direct(found, users)))
        }
        Lookup::Alias(user, text) => {
            let find =
                move |conn: &mut store::AnyConnection| with_last_change(conn, |conn| store::find_by_alias(conn, &user, &text));
            Ok(LookedUp::Alias(store.read_after_writes(find).await?))
        }
        Lookup::Overviews(user) => {
            let read = store.read_after_writes(move |conn| store::list_overviews(conn, &user, OVERVIEW_LIMITS));
            Ok(LookedUp::Overviews(read.await?))
        }
        Lookup::Message(id) | Lookup::Answer(id) => {
            let message = store.read_after_writes(move |conn| store::find_message(conn, id)).await?;
            Ok(LookedUp::Message(message.map(Box::new)))
        }
        // A title that was confirmed is stored, and no send waits for what is not.
        Lookup::Title(listing) => Ok(LookedUp::Title(store.read(move |conn| store::find_title(conn, &listing)).await?)),
        Lookup::Uploads(urls) => {
            Ok(LookedUp::Uploads(store.read_after_writes(move |conn| store::find_uploads(conn, &urls)).await?))
        }
        Lookup::Notifications(user, limit) => {
            let newest =
                move |conn: &mut store::AnyConnection| store::list_notifications(conn, &user, NotificationRange::Newest, limit);
            Ok(LookedUp::Notifications(store.read_after_writes(newest).await?))
        }
        Lookup::History(place, limit) => {
            let newest = move |conn: &mut store::AnyConnection| store::list_history(conn, &place, HistoryRange::Newest, limit);
            Ok(LookedUp::History(store.read_after_writes(newest).await?))
        }
        Lookup::SentIds(sender) => {
            let since = now.plus_millis(-SENT_IDS_FOR_MS);
            let limit = i64::try_from(SENT_IDS_MAX).unwrap_or(i64::MAX);
            let rows = store.read_after_writes(move |conn| store::list_client_ids(conn, &sender, since, limit)).await?;
            Ok(LookedUp::SentIds(rows))
        }
    }
}

/// Returns the name for a new user. A guest's is marked where an account is shown under it.
async fn name_for(store: &Store, user: &UserId, name: String) -> Result<String, StoreError> {
    let wanted = name.clone();
    let is_shown = user.is_guest() && store.read(move |conn| store::is_full_name(conn, &wanted)).await?;
    Ok(if is_shown { marked_name(&name) } else { name })
}

/// Has it stored what is said of a user. Returns the account as it is then.
pub(crate) async fn describe(store: Store, user: UserId, description: Description) -> Result<Option<Account>, StoreError> {
    if description != Description::default() {
        let username = match description.username {
            Some(name) => Some(name_for(&store, &user, name).await?),
            None => None,
        };
        let description = Description { username, ..description };
        store.write(Write::Describe { user: user.clone(), description }).await?;
    }
    store.read_after_writes(move |conn| store::find_account(conn, &user)).await
}

fn with_last_change(
    conn: &mut store::AnyConnection,
    find: impl FnOnce(&mut store::AnyConnection) -> store::QueryResult<Option<Conversation>>,
) -> store::QueryResult<Option<FoundConversation>> {
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

pub(crate) fn find_users(conn: &mut store::AnyConnection, ids: &[UserId]) -> store::QueryResult<Vec<(Account, Vec<Membership>)>> {
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
        username: name_of_id(&id),
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
