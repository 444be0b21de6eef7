//! The message broker: who is here, who talks where, who is sent what.
//!
//! [`ChatServer`] is the one actor that holds users, sockets, rooms and the messages under way, as a value, the `Broker`. A
//! command comes in ([`Request`], [`Ask`]), is checked, is given to the store, and takes effect; what it needs to know and does
//! not is read first, in the socket's order. What others are sent leaves through [`ToWorker`].
//!
//! ```text
//! ports ← state ← query ← outside ← broker ← server
//! ```
//!
//! `ports` are the values that come and go, `state` what is known, each part with its own rules, `query` what is read, `outside`
//! what the broker needs of the world, `broker` what follows from what, by subject, and `server` the actor.
mod broker;
mod outside;
mod ports;
mod query;
mod server;
mod state;
#[cfg(feature = "internals")]
mod stepped;

pub use self::ports::{
    AccountsChanged, Administer, Admission, Ask, AskHook, AskUpload, Authenticate, AuthenticateError, Broadcast, BrokerStats,
    Capabilities, CapabilitiesChanged, CatchUpDrained, ChatError, ClientDialects, Command, ConfirmationWanted, Confirmed,
    Connect, ConnectKind, ConnectVerdict, ConsoleNotice, ConversationReply, Disconnect, Draft, Drain, DropFiles, ENCODINGS, Emit,
    EmitTo, Emitted, Event, FellBehind, FindRoom, FindSession, FinishAnswers, ForwardOutcome, Forwarded, GuestPass, HOOK_REFUSED,
    Health, HookMessage, HookPlace, HookQuestion, HookRefusal, HookSaid, HookSubject, HookVerdict, LastDisconnect, LateRequest,
    LeftBehind, Limited, ListRooms, ListSessions, MemberTrace, MessageTrace, MessagesPruned, ModelError, ModelSaid, ModelWord,
    Names, NotRecovered, Notice, Notified, OnlineUsers, Options, OwnCopy, PresenceChange, PresenceOf, Prompt, RefusedConnect,
    RegisterWorker, Replay, ReplayKind, Reply, Request, ResumeData, RevokeTokens, RoomKey, RoomOrder, RoomView,
    SaveNotifications, SendTo, Sent, SessionState, SessionTrace, SessionView, Sockets, SocketsOf, Sources, Stats, Tick,
    TitleListing, ToWorker, Trace, TraceMessage, TraceOf, Turn, Upgraded, UserPresence, WORDED, WatchSockets, Watermark,
};
pub use self::server::ChatServer;
#[cfg(feature = "internals")]
pub use self::stepped::{Answered, CalledBack, Job, Reading, SteppedBroker, ToBroker};
