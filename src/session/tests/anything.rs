//! Arbitrary input.
use proptest::prelude::*;

use super::*;
use crate::chat::Sent;

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_filter("JSON has no others", |value| value.is_finite()).prop_map(|value| value.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"[a-z]{0,4}(\\\\u[0-9a-f]{4}){0,3}\"",
        Just(format!("\"{CONVERSATION}\"")),
        Just(r#"{"_placeholder":true,"num":0}"#.to_owned()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((any_key(), inner), 0..5).prop_map(|fields| {
                let fields: Vec<_> = fields.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "recipientId",
        "content",
        "file",
        "url",
        "clientMessageId",
        "conversationId",
        "messageId",
        "roomId",
        "messageType",
        "chatId",
        "chat",
        "stream",
        "targetUserId",
        "attachments",
        "token",
    ];
    prop_oneof![proptest::sample::select(KNOWN).prop_map(str::to_owned), Just("\\u0000".to_owned()), "[a-z]{0,3}"]
}

fn any_event() -> impl Strategy<Value = String> {
    let names: Vec<_> = DialectSet::all().iter().flat_map(|dialect| dialect.events()).map(|entry| entry.name).collect();
    proptest::sample::select(names).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_request_is_answered(event in any_event(), args in proptest::collection::vec(any_json(), 0..3), has_ack in any::<bool>()) {
        let mut case = Case::joined_with(rules_of_all(), r#"{"token":"ann"}"#);
        let args: String = args.iter().map(|arg| format!(",{arg}")).collect();
        let ack_id = if has_ack { "7" } else { "" };
        case.text(&format!("2{ack_id}[\"{event}\"{args}]"));
        prop_assert_eq!(case.output.closed, None);
        let is_known = !["leave_group", "conversation:leave"].contains(&event.as_str()) || has_ack;
        let mut sent = case.sent();
        if has_ack {
            // Requests answered at once are answered by an event, too.
            sent.retain(|packet| !packet.starts_with("42[\"userSetup\""));
        }
        if case.broker.requests.is_empty() {
            let count = match event.as_str() {
                _ if has_ack => 1,
                // An event of two dialects is refused in the words of each.
                "message:send" => 2,
                // Its front end knows no error event.
                "ai-message" => 2,
                _ => 1,
            };
            prop_assert!(!is_known || sent.len() == count, "{event} {args}: {sent:?}");
            let starts: &[&str] = match event.as_str() {
                _ if has_ack => &["437["],
                "ai-message" => &["42[\"ai-error\"", "42[\"ai-response\""],
                _ => &["42[\"error\"", "42[\"userSetup\""],
            };
            let is_failed = |packet: &String| !has_ack && packet.contains("{\"success\":false");
            let is_answer = |packet: &String| starts.iter().any(|start| packet.starts_with(start)) || is_failed(packet);
            prop_assert!(sent.iter().all(is_answer), "{sent:?}");
        } else {
            prop_assert!(sent.is_empty());
            let message = Arc::new(message("ann", "hi"));
            let reply = Reply::Sent(Sent { message, recipient: None, status: MessageStatus::Sent, name: None });
            case.notice(Notice::Reply { ticket: 0, reply: Ok(reply) });
            let is_acked = case.sent().first().is_some_and(|packet| packet.starts_with("437[{\"success\":true"));
            prop_assert!(is_acked || !has_ack);
        }
    }

    #[test]
    fn no_text_is_too_much(texts in proptest::collection::vec(prop_oneof![any::<String>(), "[0-6]{0,2}[/a-z,]{0,4}[0-9]{0,3}[\\[\\]{}\":,a-z0-9]{0,20}"], 1..4)) {
        let mut case = Case::joined();
        texts.iter().for_each(|text| case.text(text));
        prop_assert!(case.session.deadline(&case.rules).is_none_or(|at| at > case.now.instant));
    }
}
