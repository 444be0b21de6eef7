//! Explanation why a user does or does not get messages.
use super::explanation::{Explanation, Fact};
use super::untold::explain_untold;
use crate::chat::{ConnectKind, LastDisconnect, NotRecovered, RefusedConnect, SessionView, Trace};
use crate::dialect::{DialectSet, DialectState};
use crate::engineio::{CloseReason, ConnectionView};
use crate::model::{Account, ChosenStatus};
use crate::store::{Undelivered, Untold};
use crate::webhooks::WebhookFigures;

/// Everything known about a user.
#[derive(Debug)]
pub(super) struct UserFacts<'a> {
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
    /// Events about the user that webhooks have not got.
    pub untold: Vec<Untold>,
    /// Figures of the webhooks.
    pub webhooks: Vec<WebhookFigures>,
}

/// Explains the user's state.
pub(super) fn explain_user(facts: &UserFacts<'_>) -> Explanation {
    let mut facts_found = Vec::new();
    explain_account(facts.account, &mut facts_found);
    for (view, connection) in &facts.sessions {
        explain_session(view, *connection, facts.dialects, &mut facts_found);
    }
    explain_absence(facts, &mut facts_found);
    explain_undelivered(&facts.undelivered, &mut facts_found);
    explain_trace(&facts.trace, &mut facts_found);
    facts_found.extend(facts.untold.iter().map(|untold| explain_untold(untold, &facts.webhooks, "the user")));
    Explanation { verdict: verdict(facts), facts: facts_found }
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
    if !open.iter().any(|view| view.capabilities.direct_message || view.capabilities.group_message) {
        return format!("Connected, but its dialects cannot show messages of others. {waits}");
    }
    if facts.sessions.iter().any(|(_, connection)| connection.is_some_and(|connection| connection.is_blocked)) {
        return format!("Connected, but a client has stopped reading. {waits}");
    }
    format!("Gets messages: {} connected. {waits}", count(open.len(), "socket is", "sockets are"))
}

fn explain_account(account: &Account, facts_found: &mut Vec<Fact>) {
    if account.disabled {
        let text = "The account is disabled: its sockets were disconnected, and its tokens are refused (ACCOUNT_DISABLED). \
                    PATCH /api/admin/users/ID {\"disabled\": false} enables it.";
        facts_found.push(Fact::new("DISABLED", text));
    }
    if let Some(at) = account.tokens_valid_from {
        let text = "Tokens issued before this time are refused, except those of the login that changed the password.";
        facts_found.push(Fact::at("OLD_TOKENS_REFUSED", at, text));
    }
    if account.status == ChosenStatus::Offline {
        facts_found.push(Fact::new("APPEARS_OFFLINE", "The user chose to appear offline to others; messages come all the same."));
    }
}

fn explain_session(view: &SessionView, connection: Option<ConnectionView>, enabled: DialectSet, facts_found: &mut Vec<Fact>) {
    let SessionView { socket, since, peer, capabilities, muted, expires_at, is_catching_up, waiting_requests, .. } = view;
    match peer {
        Some(peer) => {
            let from = peer.address.map_or_else(String::new, |address| format!(" from {address}"));
            let text = format!("Socket {socket} is connected over {}{from}.", peer.transport.as_str());
            facts_found.push(Fact::at("CONNECTED", *since, text));
        }
        None => {
            let text = format!("The connection of socket {socket} is lost. Its client may resume the session (RECOVERY_TTL).");
            facts_found.push(Fact::at("PARKED", *since, text));
        }
    }
    explain_dialects(view, enabled, facts_found);
    if capabilities.unconfirmed {
        let text = format!(
            "Socket {socket} was authenticated by a cookie alone and has sent nothing yet: events sent to it do not count as received."
        );
        facts_found.push(Fact::new("SILENT_COOKIE", text));
    }
    if !muted.is_empty() {
        let names: Vec<String> = muted.iter().take(10).map(ToString::to_string).collect();
        let text = format!(
            "Socket {socket} gets nothing of {} that it left with leave_group or conversation:leave: {}{}.",
            count(muted.len(), "group", "groups"),
            names.join(", "),
            if muted.len() > names.len() { ", …" } else { "" }
        );
        facts_found.push(Fact::new("MUTED", text));
    }
    if *is_catching_up {
        let text = format!("Socket {socket} is catching up on missed messages; newer ones wait behind them.");
        facts_found.push(Fact::new("CATCHING_UP", text));
    }
    if *waiting_requests > 0 {
        let waiting = count(*waiting_requests, "request waits", "requests wait");
        let text = format!("{waiting} for the database on socket {socket}.");
        facts_found.push(Fact::new("REQUESTS_WAIT", text));
    }
    if let Some(ConnectionView { queued_packets, queued_bytes, is_blocked }) = connection
        && (queued_packets > 0 || is_blocked)
    {
        let waiting = count(queued_packets, "packet waits", "packets wait");
        let why = if is_blocked { ": the client has stopped reading" } else { "" };
        facts_found.push(Fact::new("OUTBOX", format!("{waiting} ({queued_bytes} bytes) to be sent on socket {socket}{why}.")));
    }
    if let Some(at) = expires_at {
        facts_found.push(Fact::at(
            "TOKEN_ENDS",
            *at,
            format!("The token of socket {socket} expires then, which ends its session."),
        ));
    }
}

fn explain_dialects(view: &SessionView, enabled: DialectSet, facts_found: &mut Vec<Fact>) {
    let SessionView { socket, client_dialects, capabilities, .. } = view;
    let dialect_state = DialectState::of_client_dialects(enabled, *client_dialects);
    let names = dialect_state.speaks().names();
    let text = match dialect_state.origin() {
        "pinned" => format!("Socket {socket} speaks {names}: its client said so at CONNECT."),
        "only one" => format!("Socket {socket} speaks {names}: no other dialect is enabled (DIALECTS)."),
        "learned" => format!("Socket {socket} speaks {names}: learned from the events that it sent."),
        _ => format!("Socket {socket} has sent no event of any dialect yet: it is sent every event in all dialects."),
    };
    facts_found.push(Fact::new("DIALECT", text));
    let lacking: Vec<&str> = [
        (capabilities.direct_message, "direct messages"),
        (capabilities.group_message, "messages of groups"),
        (capabilities.notification, "notifications"),
    ]
    .into_iter()
    .filter_map(|(has, what)| (!has).then_some(what))
    .collect();
    if !lacking.is_empty() {
        let text = format!("Its dialect cannot show {}: socket {socket} never gets those.", lacking.join(" and "));
        facts_found.push(Fact::new("NO_WORD", text));
    }
}

fn explain_absence(facts: &UserFacts<'_>, facts_found: &mut Vec<Fact>) {
    if !facts.sessions.is_empty() {
        return;
    }
    facts_found.push(match facts.account.last_seen {
        Some(at) => Fact::at("NOT_CONNECTED", at, "No socket is connected. The last one was seen at this time."),
        None => Fact::new("NOT_CONNECTED", "No socket is connected, and none was ever seen to leave."),
    });
}

fn explain_undelivered(undelivered: &[Undelivered], facts_found: &mut Vec<Fact>) {
    if undelivered.is_empty() {
        let text = "Everything that others wrote in the user's conversations is confirmed to have reached a device (as of the last second).";
        facts_found.push(Fact::new("NOTHING_WAITS", text));
    }
    for Undelivered { conversation, messages: number, since } in undelivered {
        let is = if *number == 1 { "is" } else { "are" };
        let what = messages(*number, "message", "messages");
        let text = format!("{what} of conversation {conversation} {is} stored and not confirmed as received.");
        facts_found.push(Fact::at("UNDELIVERED", *since, text));
    }
}

fn explain_trace(trace: &Trace, facts_found: &mut Vec<Fact>) {
    if let Some((at, socket, connect_kind)) = trace.came {
        let text = match connect_kind {
            ConnectKind::New => format!("The latest socket, {socket}, started a new session."),
            ConnectKind::Resumed { missed } => {
                let missed = count(missed, "event", "events");
                format!("The latest socket, {socket}, resumed its session and was shown {missed} that it had missed.")
            }
            ConnectKind::ResumeFailed(reason) => {
                format!("The latest socket, {socket}, asked to resume its session and got a new one: {}.", why(reason))
            }
        };
        facts_found.push(Fact::at("CAME", at, text));
    }
    if let Some(LastDisconnect { at, socket, reason, is_detached }) = trace.incidents().left {
        let then = if is_detached { "Its session was kept, to be resumed." } else { "Its session ended with it." };
        let text = format!("The latest socket to disconnect, {socket}, did so because {}. {then}", why_closed(reason));
        facts_found.push(Fact::at("LEFT", at, text));
    }
    if let Some((at, words)) = trace.incidents().hooked {
        let text = format!("The latest request that your hook (HOOK_URL) did not allow: {words}.");
        facts_found.push(Fact::at("HOOK", at, text));
    }
    if let Some((at, refused)) = trace.incidents().refused {
        facts_found.push(Fact::at(
            "REFUSED",
            at,
            format!("A CONNECT with a token of the user was refused: {}.", why_refused(refused)),
        ));
    }
    if let Some((number, at)) = trace.incidents().limited {
        let number = count(usize::try_from(number).unwrap_or(usize::MAX), "request was", "requests were");
        let text = format!("At least {number} refused because they came too fast (RATE_LIMITED); the last at about this time.");
        facts_found.push(Fact::at("RATE_LIMITED", at, text));
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
