//! The message broker: who is here, who talks where, who is told what.
//!
//! [`ChatServer`] is the one actor that holds users, sockets, rooms and the messages under way. A command comes in
//! ([`Request`], [`Ask`]), is checked, is given to the store, and takes effect; what it needs to know and does not is
//! read first, in the socket's order. What others are told leaves through [`ToWorker`].
mod administering;
mod assistant;
mod broadcast;
mod broker;
mod catch_up;
mod census;
mod changed_accounts;
mod changes;
mod command;
mod connecting;
mod conversations;
mod delivered;
mod emitting;
mod error;
mod event;
mod executing;
mod files;
mod handed;
mod inspecting;
mod leftovers;
mod loading;
mod made_users;
mod naming;
mod notifications;
mod offsets;
mod online;
mod options;
mod outside;
mod parked;
mod ports;
mod presence;
mod queries;
mod query;
mod questions;
mod receipts;
mod reply;
mod resuming;
mod rings;
mod rooms;
mod sending;
mod sent_ids;
mod server;
mod stored;
mod tables;
mod telling;
mod titles;
mod traces;
mod tracing;
mod typing;
mod watching;

pub use self::administering::{Administer, MessagesPruned};
pub use self::assistant::FinishAnswers;
pub use self::broadcast::{Broadcast, ENCODINGS, Names, ProofWanted, WORDED};
pub use self::changed_accounts::AccountsChanged;
pub use self::command::{Command, Draft};
pub use self::emitting::{Emit, EmitTo, Emitted};
pub use self::error::{ChatError, ModelError};
pub use self::event::{Event, PresenceChange};
pub use self::files::DropFiles;
pub use self::inspecting::{FindRoom, FindSession, ListRooms, ListSessions, RoomOrder, RoomView, SessionView, TraceOf};
pub use self::notifications::SaveNotifications;
pub use self::options::{Options, Sources};
pub use self::ports::{
    Admission, Ask, Back, CatchUpDrained, Connect, ConsoleNotice, Disconnect, FellBehind, LateRequest, LeftBehind, Limited,
    Manner, Mark, ModelSaid, ModelWord, Notice, OwnCopy, Prompt, Proven, RefusedConnect, RegisterWorker, Replay, ReplayKind,
    Request, Tick, ToWorker, Turn, Upgraded, Words, WordsLearned,
};
pub use self::queries::{
    Authenticate, AuthenticateError, BrokerStats, Drain, Health, OnlineUsers, PresenceOf, RevokeTokens, SocketsOf, Stats,
    UserPresence,
};
pub use self::reply::Reply;
pub use self::resuming::NotRecovered;
pub use self::rooms::RoomKey;
pub use self::server::ChatServer;
pub use self::titles::TitleListing;
pub use self::traces::{Coming, Leaving, Trace};
pub use self::tracing::{MemberTrace, MessageTrace, SessionState, SessionTrace, TraceMessage};
pub use self::watching::{Sockets, WatchSockets};
