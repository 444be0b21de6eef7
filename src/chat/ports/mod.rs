//! Values that come to the broker and leave it.
mod admin;
mod broadcast;
mod command;
mod connection;
mod emit;
mod error;
mod event;
mod hook;
mod http;
mod model;
mod notice;
mod options;
mod refusal;
mod reply;
mod room;
mod trace;

pub use self::admin::{
    Administer, FindRoom, FindSession, ListRooms, ListSessions, MessagesPruned, RoomOrder, RoomView, SessionView, Sockets,
    TraceOf, WatchSockets,
};
pub use self::broadcast::{Broadcast, ConfirmationWanted, ENCODINGS, Names, WORDED};
pub use self::command::{Command, Draft, SendTo};
pub use self::connection::{
    Capabilities, CapabilitiesChanged, CatchUpDrained, ClientDialects, Confirmed, Connect, Disconnect, FellBehind, GuestPass,
    LateRequest, LeftBehind, Limited, NotRecovered, OwnCopy, Request, Tick, Upgraded, Watermark,
};
pub(crate) use self::emit::EmitFrom;
pub use self::emit::{Emit, EmitTo};
pub(crate) use self::error::USED_OTHERWISE;
pub use self::error::{ChatError, ModelError};
pub(crate) use self::event::change_event;
pub use self::event::{Emitted, Event, PresenceChange};
pub(crate) use self::hook::PARTICIPANTS_SHOWN_MAX;
pub use self::hook::{
    AskHook, AskUpload, ConnectVerdict, HookMessage, HookPlace, HookQuestion, HookSaid, HookSubject, HookVerdict,
};
pub(crate) use self::http::AccountRead;
pub use self::http::{
    AccountsChanged, Ask, Authenticate, AuthenticateError, BrokerStats, Drain, DropFiles, Health, OnlineUsers, PresenceOf,
    RevokeTokens, SaveNotifications, SocketsOf, Stats, TitleListing, UserPresence,
};
pub(crate) use self::model::Asked;
pub use self::model::{FinishAnswers, ModelSaid, ModelWord, Prompt, Turn};
pub use self::notice::{
    Admission, ConsoleNotice, ForwardOutcome, Forwarded, Notice, RefusedConnect, RegisterWorker, Replay, ReplayKind, ResumeData,
    ToWorker,
};
pub(crate) use self::options::RingLimits;
pub use self::options::{Options, Sources};
pub use self::refusal::{HOOK_REFUSED, HookRefusal};
pub use self::reply::{ConversationReply, Notified, Reply, Sent};
pub use self::room::RoomKey;
pub use self::trace::{ConnectKind, LastDisconnect, MemberTrace, MessageTrace, SessionState, SessionTrace, Trace, TraceMessage};
