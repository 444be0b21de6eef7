//! Explanation of a message's fate.
use super::explanation::{Explanation, Fact};
use super::untold::explain_untold;
use crate::chat::{MemberTrace, MessageTrace, SessionState, SessionTrace};
use crate::model::{Conversation, Message, UserId};
use crate::store::Untold;
use crate::webhooks::WebhookFigures;

/// Everything known about a message.
#[derive(Debug)]
pub(super) struct MessageFacts<'a> {
    /// The stored message.
    pub message: &'a Message,
    /// Its conversation; `None` if it was sent to a public room or the common chat, or the conversation was deleted.
    pub conversation: Option<&'a Conversation>,
    /// The members to report on: all but the sender.
    pub members: Vec<UserId>,
    /// Facts in memory about those members, in the same order.
    pub trace: MessageTrace,
    /// Events about it that webhooks have not got.
    pub untold: Vec<Untold>,
    /// Figures of the webhooks.
    pub webhooks: Vec<WebhookFigures>,
}

/// Explains the message.
pub(super) fn explain_message(facts: &MessageFacts<'_>) -> Explanation {
    let MessageFacts { message, conversation, members, trace, untold, webhooks } = facts;
    let mut facts_found =
        vec![Fact::at("SENT", message.created_at, format!("{} sent it; it is stored.", message.sender.username))];
    if let Some(at) = message.deleted_at {
        facts_found.push(Fact::at("DELETED", at, "It was deleted, and is no longer shown to anybody."));
    }
    if let Some(at) = trace.dispatched_at {
        facts_found.push(Fact::at("HANDED_OUT", at, "It was dispatched to the sockets connected at that time."));
    }
    let told_of =
        |facts_found: &mut Vec<Fact>| facts_found.extend(untold.iter().map(|untold| explain_untold(untold, webhooks, "it")));
    let Some(conversation) = conversation else {
        let text = "Messages of a public room go to the sockets in it at once; their receipt is not recorded.";
        facts_found.push(Fact::new("PUBLIC", text));
        told_of(&mut facts_found);
        return Explanation { verdict: "Stored, and sent to everybody in the room.".to_owned(), facts: facts_found };
    };
    let (mut read, mut received) = (0, 0);
    for (member, known) in members.iter().zip(&trace.members) {
        let mark = message.read_by.iter().find(|mark| mark.user == *member);
        if let Some(mark) = mark {
            read += 1;
            facts_found.push(Fact::at("READ", mark.read_at, format!("{member} read it.")));
        } else if known.has_received {
            received += 1;
            facts_found.push(Fact::new("RECEIVED", format!("{member} has received it: {}.", confirmation(known))));
        } else {
            explain_lack(member, known, &mut facts_found);
        }
    }
    let others = conversation.participants.iter().filter(|member| **member != message.sender.id).count();
    if others > members.len() {
        facts_found.push(Fact::new("MORE_MEMBERS", format!("{} further members are not listed here.", others - members.len())));
    }
    told_of(&mut facts_found);
    let lacking = members.len() - read - received;
    let verdict = match lacking {
        0 => format!("Stored, and received by all of {others} recipients that were looked at; {read} read it."),
        _ => format!(
            "Stored. Of {} recipients looked at, {read} read it, {received} more received it, {lacking} lack it.",
            members.len()
        ),
    };
    Explanation { verdict, facts: facts_found }
}

fn confirmation(known: &MemberTrace) -> String {
    let confirmed = known.sessions.iter().find(|session| session.state == SessionState::Confirmed);
    match confirmed {
        Some(SessionTrace { socket, .. }) => format!("socket {socket} answered a heartbeat that was sent after it"),
        None => {
            "a device answered a heartbeat sent after it, reconnected with a later offset, or read a later message".to_owned()
        }
    }
}

fn explain_lack(member: &UserId, known: &MemberTrace, facts_found: &mut Vec<Fact>) {
    if known.sessions.is_empty() {
        facts_found.push(Fact::new("NOT_CONNECTED", format!("{member} lacks it: not connected. It comes at the next connect.")));
    }
    for SessionTrace { socket, state } in &known.sessions {
        let (code, why) = match state {
            SessionState::NoWord => ("NO_WORD", "speaks a dialect that cannot show it"),
            SessionState::Unconfirmed => {
                ("SILENT_COOKIE", "was authenticated by a cookie alone and has sent nothing: events sent to it do not count")
            }
            SessionState::Muted => ("MUTED", "has muted the group; only the history shows it"),
            SessionState::Detached => ("PARKED", "has lost its connection; its session can be resumed"),
            SessionState::CatchingUp => ("CATCHING_UP", "is catching up; this message comes in its order"),
            SessionState::Confirmed => ("PROVEN", "has it; that is about to be recorded"),
            SessionState::Sent => ("SENT_UNPROVEN", "was sent it, and has answered no heartbeat since"),
            SessionState::CameLater => ("CAME_LATER", "connected after it was dispatched, and is caught up"),
            SessionState::Unknown => ("UNKNOWN", "is connected; events sent to it then are no longer known"),
        };
        facts_found.push(Fact::new(code, format!("{member}: socket {socket} {why}.")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::fixtures::{self, message};
    use crate::model::{ConversationKind, ReadMark, SocketId, Timestamp};

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    #[test]
    fn every_member_is_spoken_of_with_what_stands_in_the_way() {
        let mut message: Message = message("sender", "text");
        message.read_by = vec![ReadMark { user: user("reader"), read_at: Timestamp::from_millis(5) }];
        let names = ["reader", "receiver", "absent", "muted"].map(user);
        let conversation = Conversation {
            id: fixtures::conversation(),
            kind: ConversationKind::Group,
            name: None,
            avatar: None,
            admin: None,
            participants: names.iter().cloned().chain([message.sender.id.clone()]).collect(),
            last_seq: 1,
            last_message: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        };
        let socket = SocketId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let member = |has_received, state: Option<SessionState>| MemberTrace {
            has_received,
            sessions: state.into_iter().map(|state| SessionTrace { socket, state }).collect(),
        };
        let members = vec![
            member(true, Some(SessionState::Confirmed)),
            member(true, Some(SessionState::Confirmed)),
            member(false, None),
            member(false, Some(SessionState::Muted)),
        ];
        let trace = MessageTrace { members, ..MessageTrace::default() };
        let untold = |webhook: &str, failure: Option<&str>| Untold {
            webhook: webhook.to_owned(),
            event: "message.created".to_owned(),
            since: Timestamp::from_millis(7),
            failure: failure.map(str::to_owned),
        };
        let facts = MessageFacts {
            message: &message,
            conversation: Some(&conversation),
            members: names.to_vec(),
            trace,
            untold: vec![untold("mail", None), untold("push", Some("the answer is 404"))],
            webhooks: vec![WebhookFigures {
                name: "mail".to_owned(),
                failure: Some("the answer is 500".to_owned()),
                ..WebhookFigures::default()
            }],
        };
        let Explanation { verdict, facts: facts_found } = explain_message(&facts);
        let codes: Vec<_> = facts_found.iter().map(|fact| fact.code).collect();
        assert_eq!(codes, ["SENT", "READ", "RECEIVED", "NOT_CONNECTED", "MUTED", "WEBHOOK_WAITS", "WEBHOOK_DEAD_LETTER"]);
        assert_eq!(verdict, "Stored. Of 4 recipients looked at, 1 read it, 1 more received it, 2 lack it.");
        let waits = "The webhook mail waits to be told of it (message.created): its receiver fails: the answer is 500.";
        assert_eq!((facts_found[5].text.as_str(), facts_found[5].at), (waits, Some(Timestamp::from_millis(7))));
        assert!(facts_found[6].text.contains("given up: the answer is 404"));
        assert!(facts_found[2].text.contains("heartbeat"), "{}", facts_found[2].text);
    }
}
