//! Explanation why a user does or does not get messages.
use super::explanation::{Explanation, Fact};
use crate::chat::{Coming, Leaving, NotRecovered, RefusedConnect, SessionView, Trace};
use crate::dialect::{DialectSet, Voice};
use crate::engineio::{CloseReason, ConnectionView};
use crate::model::{Account, ChosenStatus};
use crate::store::Undelivered;

/// Everything known about a user.
#[derive(Debug)]
pub struct UserFacts<'a> {
    /// The stored account.
    pub account: &'a Account,
    /// The enabled dialects.
    pub dialects: DialectSet,
    /// The user's sessions, open and detached.
    pub sessions: Vec<(SessionView, Option<ConnectionView>)>,
    /// The user's recent connects and disconnects.
    pub trace: Trace,
    /// Conversations with undelivered messages.
    pub undelivered: Vec<Undelivered>,
}

/// Explains the user's state.
pub fn explain_user(facts: &UserFacts<'_>) -> Explanation {
    let mut told = Vec::new();
    tell_account(facts.account, &mut told);
    for (view, connection) in &facts.sessions {
        tell_session(view, *connection, facts.dialects, &mut told);
    }
    tell_absence(facts, &mut told);
    tell_undelivered(&facts.undelivered, &mut told);
    tell_trace(&facts.trace, &mut told);
    Explanation { verdict: verdict(facts), facts: told }
}

fn verdict(facts: &UserFacts<'_>) -> String {
    let open: Vec<&SessionView> = facts.sessions.iter().map(|(view, _)| view).filter(|view| view.connection.is_some()).collect();
    let waiting: i64 = facts.undelivered.iter().map(|waiting| waiting.messages).sum();
    let waits = if waiting == 0 {
        "Nothing waits.".to_owned()
    } else {
        format!("{}.", messages(waiting, "message waits", "messages wait"))
    };
    if facts.account.disabled {
        return format!("Gets nothing: the account is disabled. {waits}");
    }
    if open.is_empty() && facts.sessions.is_empty() {
        return format!(
            "Gets nothing now: no socket is connected. What is written is kept and comes at the next connect. {waits}"
        );
    }
    if open.is_empty() {
        return format!("Gets nothing now: the connection is lost, its client may resume the session. {waits}");
    }
    if !open.iter().any(|view| view.words.direct_message || view.words.group_message) {
        return format!("Connected, but its dialects cannot show messages of others. {waits}");
    }
    if facts.sessions.iter().any(|(_, connection)| connection.is_some_and(|connection| connection.is_blocked)) {
        return format!("Connected, but a client has stopped reading. {waits}");
    }
    format!("Gets messages: {} connected. {waits}", count(open.len(), "socket is", "sockets are"))
}

fn tell_account(account: &Account, told: &mut Vec<Fact>) {
    if account.disabled {
        let text = "The account is disabled: its sockets were disconnected, and its tokens are refused (ACCOUNT_DISABLED). \
                    PATCH /api/admin/users/ID {\"disabled\": false} enables it.";
        told.push(Fact::new("DISABLED", text));
    }
    if let Some(at) = account.tokens_valid_from {
        let text = "Tokens issued before this time are refused, except those of the login that changed the password.";
        told.push(Fact::at("OLD_TOKENS_REFUSED", at, text));
    }
    if account.status == ChosenStatus::Offline {
        told.push(Fact::new("APPEARS_OFFLINE", "The user chose to appear offline to others; messages come all the same."));
    }
}

fn tell_session(view: &SessionView, connection: Option<ConnectionView>, enabled: DialectSet, told: &mut Vec<Fact>) {
    let SessionView { socket, since, peer, words, muted, expires_at, is_catching_up, waiting_requests, .. } = view;
    match peer {
        Some(peer) => {
            let from = peer.address.map_or_else(String::new, |address| format!(" from {address}"));
            let text = format!("Socket {socket} is connected over {}{from}.", peer.transport.as_str());
            told.push(Fact::at("CONNECTED", *since, text));
        }
        None => {
            let text = format!("The connection of socket {socket} is lost. Its client may resume the session (RECOVERY_TTL).");
            told.push(Fact::at("PARKED", *since, text));
        }
    }
    tell_dialects(view, enabled, told);
    if words.unproven {
        let text = format!(
            "Socket {socket} was authenticated by a cookie alone and has sent nothing yet: events sent to it do not count as received."
        );
        told.push(Fact::new("SILENT_COOKIE", text));
    }
    if !muted.is_empty() {
        let names: Vec<String> = muted.iter().take(10).map(ToString::to_string).collect();
        let text = format!(
            "Socket {socket} gets nothing of {} that it left with leave_group or conversation:leave: {}{}.",
            count(muted.len(), "group", "groups"),
            names.join(", "),
            if muted.len() > names.len() { ", …" } else { "" }
        );
        told.push(Fact::new("MUTED", text));
    }
    if *is_catching_up {
        let text = format!("Socket {socket} is catching up on missed messages; newer ones wait behind them.");
        told.push(Fact::new("CATCHING_UP", text));
    }
    if *waiting_requests > 0 {
        let waiting = count(*waiting_requests, "request waits", "requests wait");
        let text = format!("{waiting} for the database on socket {socket}.");
        told.push(Fact::new("REQUESTS_WAIT", text));
    }
    if let Some(ConnectionView { queued_packets, queued_bytes, is_blocked }) = connection
        && (queued_packets > 0 || is_blocked)
    {
        let waiting = count(queued_packets, "packet waits", "packets wait");
        let why = if is_blocked { ": the client has stopped reading" } else { "" };
        told.push(Fact::new("OUTBOX", format!("{waiting} ({queued_bytes} bytes) to be sent on socket {socket}{why}.")));
    }
    if let Some(at) = expires_at {
        told.push(Fact::at("TOKEN_ENDS", *at, format!("The token of socket {socket} expires then, which ends its session.")));
    }
}

fn tell_dialects(view: &SessionView, enabled: DialectSet, told: &mut Vec<Fact>) {
    let SessionView { socket, manner, words, .. } = view;
    let voice = Voice::of_manner(enabled, *manner);
    let names = voice.spoken().names();
    let text = match voice.origin() {
        "pinned" => format!("Socket {socket} speaks {names}: its client said so at CONNECT."),
        "only one" => format!("Socket {socket} speaks {names}: no other dialect is enabled (DIALECTS)."),
        "learned" => format!("Socket {socket} speaks {names}: learned from the events that it sent."),
        _ => format!("Socket {socket} has sent no event of any dialect yet: it is sent every event in all dialects."),
    };
    told.push(Fact::new("DIALECT", text));
    let lacking: Vec<&str> = [
        (words.direct_message, "direct messages"),
        (words.group_message, "messages of groups"),
        (words.notification, "notifications"),
    ]
    .into_iter()
    .filter_map(|(has, what)| (!has).then_some(what))
    .collect();
    if !lacking.is_empty() {
        let text = format!("Its dialect cannot show {}: socket {socket} never gets those.", lacking.join(" and "));
        told.push(Fact::new("NO_WORD", text));
    }
}

fn tell_absence(facts: &UserFacts<'_>, told: &mut Vec<Fact>) {
    if !facts.sessions.is_empty() {
        return;
    }
    told.push(match facts.account.last_seen {
        Some(at) => Fact::at("NOT_CONNECTED", at, "No socket is connected. The last one was seen at this time."),
        None => Fact::new("NOT_CONNECTED", "No socket is connected, and none was ever seen to leave."),
    });
}

fn tell_undelivered(undelivered: &[Undelivered], told: &mut Vec<Fact>) {
    if undelivered.is_empty() {
        let text = "Everything that others wrote in the user's conversations is confirmed to have reached a device (as of the last second).";
        told.push(Fact::new("NOTHING_WAITS", text));
    }
    for Undelivered { conversation, messages: number, since } in undelivered {
        let is = if *number == 1 { "is" } else { "are" };
        let what = messages(*number, "message", "messages");
        let text = format!("{what} of conversation {conversation} {is} stored and not confirmed as received.");
        told.push(Fact::at("UNDELIVERED", *since, text));
    }
}

fn tell_trace(trace: &Trace, told: &mut Vec<Fact>) {
    if let Some((at, socket, coming)) = trace.came {
        let text = match coming {
            Coming::New => format!("The latest socket, {socket}, started a new session."),
            Coming::Recovered { missed } => {
                let missed = count(missed, "event", "events");
                format!("The latest socket, {socket}, resumed its session and was shown {missed} that it had missed.")
            }
            Coming::NotRecovered(reason) => {
                format!("The latest socket, {socket}, asked to resume its session and got a new one: {}.", why(reason))
            }
        };
        told.push(Fact::at("CAME", at, text));
    }
    if let Some(Leaving { at, socket, reason, is_parked }) = trace.incidents().left {
        let then = if is_parked { "Its session was kept, to be resumed." } else { "Its session ended with it." };
        let text = format!("The latest socket to disconnect, {socket}, did so because {}. {then}", why_closed(reason));
        told.push(Fact::at("LEFT", at, text));
    }
    if let Some((at, refused)) = trace.incidents().refused {
        told.push(Fact::at("REFUSED", at, format!("A CONNECT with a token of the user was refused: {}.", why_refused(refused))));
    }
    if let Some((number, at)) = trace.incidents().limited {
        let number = count(usize::try_from(number).unwrap_or(usize::MAX), "request was", "requests were");
        let text = format!("At least {number} refused because they came too fast (RATE_LIMITED); the last at about this time.");
        told.push(Fact::at("RATE_LIMITED", at, text));
    }
}

fn why(reason: NotRecovered) -> &'static str {
    match reason {
        NotRecovered::Unknown => {
            "its session is unknown here: it was away for longer than RECOVERY_TTL, the session ended, or the server was restarted"
        }
        NotRecovered::AskedOtherwise => "it asked for other dialects than before",
        NotRecovered::OffsetUnknown => "its offset is unknown here",
        NotRecovered::Forgotten => "some missed events are no longer in memory (RECOVERY_BYTES)",
        NotRecovered::TooMuch => "it had missed more than OUTBOX_PACKETS or OUTBOX_BYTES",
    }
}

fn why_closed(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::TransportClose => "its client closed the connection, or the network did",
        CloseReason::TransportError => "the connection failed",
        CloseReason::PingTimeout => "its client did not answer a heartbeat in time (PING_TIMEOUT)",
        CloseReason::ParseError => "its client sent an invalid Engine.IO packet",
        CloseReason::ForcedClose => "its client violated the protocol, or reconnected on another connection",
        CloseReason::ConnectTimeout => "its client joined no namespace in time (CONNECT_TIMEOUT)",
        CloseReason::Disconnected => "its client left, or it was kicked",
        CloseReason::SlowConsumer => "its client read too slowly (OUTBOX_PACKETS, OUTBOX_BYTES, WRITE_TIMEOUT)",
        CloseReason::Unavailable => "the user had too many sockets (MAX_SOCKETS_PER_USER), or the database was unavailable",
        CloseReason::Shutdown => "the server stopped",
        CloseReason::Internal => "of an error in the server, which is in its log",
    }
}

fn why_refused(refused: RefusedConnect) -> &'static str {
    match refused {
        RefusedConnect::InvalidToken => "INVALID_TOKEN, it is revoked",
        RefusedConnect::TokenExpired => "TOKEN_EXPIRED, it is past its time; the client needs a new one",
        RefusedConnect::UserNotFound => "USER_NOT_FOUND, there is no such user here",
        RefusedConnect::AccountDisabled => "ACCOUNT_DISABLED",
    }
}

/// Returns `1 message` or `7 messages`.
fn messages(number: i64, one: &str, many: &str) -> String {
    count(usize::try_from(number).unwrap_or(0), one, many)
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
