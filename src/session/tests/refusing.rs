//! Refusals are logged, and the answer has the log line's id.
use std::sync::Mutex;

use super::*;
use crate::logging::{ErrorId, RefusalKind, RefusalNote};

type Noted = Arc<Mutex<Vec<String>>>;

/// Makes rules that record every refusal as a line, with the id `r-00000001`.
fn noting(rules: Rules) -> (Rules, Noted) {
    let noted = Noted::default();
    let lines = noted.clone();
    let note_refusal = Arc::new(move |refused: &RefusalNote<'_>| {
        let RefusalNote { kind, code, cause, sid, user, event, address: _ } = *refused;
        let sid = if sid.is_some() { "sid" } else { "-" };
        lines.lock().unwrap().push(format!("{} {code} {sid} {user:?} {event:?} {cause}", kind.as_str()));
        Some(ErrorId::from_bits(1))
    });
    (Rules { note_refusal, ..rules }, noted)
}

fn taken(noted: &Noted) -> Vec<String> {
    std::mem::take(&mut *noted.lock().unwrap())
}

#[test]
fn a_refused_connect_is_noted() {
    let (rules, noted) = noting(rules());
    let mut case = Case::open(rules, &Opening::default());
    case.text(r#"0{"token":"nope"}"#);
    let data = r#"{"code":"INVALID_TOKEN","status":401,"errorId":"r-00000001"}"#;
    assert_eq!(case.sent(), [format!(r#"44{{"message":"Authentication error: Invalid token","data":{data}}}"#)]);
    assert_eq!(taken(&noted), ["connect INVALID_TOKEN - None None Authentication error: Invalid token"]);

    case.text(r#"0{"token":"ann"}"#);
    case.notice(Notice::Refused(RefusedConnect::AccountDisabled));
    assert_eq!(taken(&noted), ["connect ACCOUNT_DISABLED sid None None Authentication error: Account disabled"]);

    case.text("0/admin,");
    let answers = case.sent();
    assert_eq!(answers.last().unwrap(), r#"44/admin,{"message":"Invalid namespace"}"#, "as the protocol has it");
    assert_eq!(taken(&noted), [r#"connect INVALID_NAMESPACE - None Some("/admin") Invalid namespace"#]);

    case.wait(60 * SECOND);
    assert_eq!(case.output.closed, Some(CloseReason::ConnectTimeout));
    assert_eq!(taken(&noted), ["connect CONNECT_TIMEOUT - None None no namespace was joined in time (CONNECT_TIMEOUT)"]);
}

#[test]
fn a_refused_request_is_noted_once_and_says_so_in_each_dialects_words() {
    let (rules, noted) = noting(Rules { strict_events: true, ..rules_of_all() });
    let mut case = Case::joined_with(rules, r#"{"token":"ann"}"#);
    case.text(r#"2["message:send",{"conversationId":"conv_1","content":""}]"#);
    let note = r#"event INVALID_PAYLOAD sid Some("ann") Some("message:send") Invalid content"#;
    assert_eq!(taken(&noted), [note]);
    let sent = case.sent();
    assert_eq!(names(&sent), ["error", "message:receive"]);
    assert!(sent.iter().all(|packet| packet.contains(r#","errorId":"r-00000001""#)), "{sent:?}");

    case.text(r#"21["join_group","nope"]"#);
    let ack = r#"431[{"success":false,"error":"Not a member","code":"FORBIDDEN","errorId":"r-00000001"}]"#;
    assert_eq!(case.sent(), [ack]);
    let note = r#"event NOT_FOUND sid Some("ann") Some("join_group") Conversation not found"#;
    assert_eq!(taken(&noted), [note], "what the client does not hear");

    case.text(r#"2["ai-message",{"chatId":"c"}]"#);
    let sent = case.sent();
    assert_eq!(names(&sent), ["ai-error", "ai-response"]);
    assert!(sent[0].ends_with(r#""code":"INVALID_PAYLOAD","errorId":"r-00000001"}]"#), "{sent:?}");
    assert_eq!(taken(&noted).len(), 1);

    for (packet, answer) in [
        (r#"22["dance"]"#, r#"432[{"success":false,"error":"Unknown event","code":"UNKNOWN_EVENT","errorId":"r-00000001"}]"#),
        (
            r#"2["dance"]"#,
            r#"42["error",{"message":"Unknown event","error":"Unknown event","code":"UNKNOWN_EVENT","event":"dance","errorId":"r-00000001"}]"#,
        ),
    ] {
        case.text(packet);
        assert_eq!(case.sent(), [answer]);
        assert_eq!(taken(&noted), [r#"event UNKNOWN_EVENT sid Some("ann") Some("dance") Unknown event"#]);
    }
}

#[test]
fn who_is_kicked_is_noted() {
    let (rules, noted) = noting(rules());
    let mut case = Case::joined_with(rules, r#"{"token":"ann"}"#);
    case.notice(Notice::Kick { code: "KICKED" });
    let kind = RefusalKind::Disconnect.as_str();
    assert_eq!(taken(&noted), [format!(r#"{kind} KICKED sid Some("ann") None You were disconnected by an administrator"#)]);
    let sent = case.sent();
    assert!(sent[0].ends_with(r#""code":"KICKED","errorId":"r-00000001"}]"#), "{sent:?}");
}
