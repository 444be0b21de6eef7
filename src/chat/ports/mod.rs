//! Values that come to the broker and leave it.
mod admin;
mod broadcast;
mod command;
mod connection;
mod emit;
mod error;
mod event;
mod http;
mod model;
mod notice;
mod options;
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
    Capabilities, CapabilitiesChanged, CatchUpDrained, ClientDialects, Confirmed, Connect, Disconnect, FellBehind, LateRequest,
    LeftBehind, Limited, NotRecovered, OwnCopy, Request, Tick, Upgraded, Watermark,
};
pub use self::emit::{Emit, EmitFrom, EmitTo};
pub use self::error::{ChatError, ModelError, USED_OTHERWISE};
pub use self::event::{Emitted, Event, PresenceChange, change_event};
pub use self::http::{
    AccountRead, AccountsChanged, Ask, Authenticate, AuthenticateError, BrokerStats, Drain, DropFiles, Health, OnlineUsers,
    PresenceOf, RevokeTokens, SaveNotifications, SocketsOf, Stats, TitleListing, UserPresence,
};
pub use self::model::{Asked, FinishAnswers, ModelSaid, ModelWord, Prompt, Turn};
pub use self::notice::{
    Admission, ConsoleNotice, Notice, RefusedConnect, RegisterWorker, Replay, ReplayKind, ResumeData, ToWorker,
};
pub use self::options::{Options, RingLimits, Sources};
pub use self::reply::{ConversationReply, Notified, Reply, Sent};
pub use self::room::RoomKey;
pub use self::trace::{ConnectKind, LastDisconnect, MemberTrace, MessageTrace, SessionState, SessionTrace, Trace, TraceMessage};
