use super::*;

const HEAD: &str = "version = 1\nname = \"shop\"\n";

fn problems(text: &str) -> Vec<String> {
    let problems = FileDialect::parse(Path::new("f.toml"), text, 1_000_000).map(|_| ()).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_has_its_place() {
    let mut missing = Vec::new();
    let client = format!("{HEAD}[[client]]\nevent = \"say\"\n");
    let server = format!("{HEAD}[[server]]\nevent = \"said\"\n");
    for (text, expected) in [
        (String::new(), "f.toml:1:1: missing field `version`"),
        ("version = 2\nname = \"shop\"".to_owned(), "f.toml:1:11: version must be 1"),
        ("version = \"1\"\nname = \"shop\"".to_owned(), "f.toml:1:11: invalid type"),
        ("version = 1\nname = \"messenger\"".to_owned(), "f.toml:2:8: the name messenger is taken"),
        ("version = 1\nname = \"all\"".to_owned(), "f.toml:2:8: the name all is taken"),
        ("version = 1\nname = \"Shop\"".to_owned(), "f.toml:2:8: a name has"),
        ("version = 1\nname = \"\"".to_owned(), "f.toml:2:8: a name has"),
        ("version = 1\nname = \"shop\"\nnames = 1".to_owned(), "f.toml:3:1: unknown field `names`"),
        ("version = 1\nname = ".to_owned(), "f.toml:2:"),
        (HEAD.to_owned(), "f.toml:2:8: the dialect has no events"),
        (format!("{client}command = \"shout\""), "f.toml:5:11: unknown command, known are: send, read"),
        (format!("{client}command = \"send\""), "f.toml:5:11: the command send needs fields of: user"),
        (format!("{client}command = \"send\"\nfields = '..'"), "f.toml:6:11: `..` is not allowed"),
        (
            format!("{client}command = \"send\"\nfields = '''\n{{user: .a}} |\n  nothing'''"),
            "f.toml:8:3: nothing is not a function",
        ),
        (format!("{client}command = \"send\"\nfields = '.[0'"), "f.toml:6:14: closing bracket expected"),
        (format!("{client}command = \"send\"\nfields = '$x'"), "f.toml:6:11: unknown variable $x"),
        (
            format!("{client}command = \"send\"\nfields = '{{user: .[0].to, contnet: .[0].text}}'"),
            "f.toml:6:27: send has no field contnet, known are: user, conversation",
        ),
        (
            format!("{client}command = \"send\"\nfields = 'if .[1] then {{room: .[1]}} else {{usr: .[0]}} end'"),
            "f.toml:6:43: send has no field usr",
        ),
        (
            format!("{client}command = \"send\"\nfields = '.[0] | {{content: .text}}'"),
            "f.toml:6:11: send needs a field of: user, conversation",
        ),
        (
            format!("{HEAD}[[connect.requests]]\ncommand = \"join\"\nfields = '{{}}'"),
            "f.toml:5:11: join needs a field of: room, commonChat",
        ),
        (format!("{client}command = \"send\"\nfields = 7"), "f.toml:6:10: invalid type"),
        (
            format!("{client}command = \"send\"\nfields = '.'\nnames = {{ recipient = \"to\" }}"),
            "f.toml:7:11: send has no such field",
        ),
        (format!("{client}command = \"read\"\nfields = '.'\ncopy = \"live\""), "f.toml:5:11: only the command send has a copy"),
        (format!("{client}command = \"read\"\nfields = '.'\nrate = \"slow\""), "f.toml:7:8: unknown variant"),
        (format!("{client}command = \"read\"\nfields = '.'\nacks = '.'"), "f.toml:7:1: unknown field `acks`"),
        (format!("{client}command = \"account\"\nack = '.a.'"), "f.toml:6:11: key expected, not the end"),
        (
            format!("{client}command = \"account\"\n[[client]]\nevent = \"say\"\ncommand = \"account\"\nack = '.'"),
            "f.toml:7:9: only the first entry of an event has an ack",
        ),
        (
            format!("{HEAD}[[client]]\nevent = \"connect\"\ncommand = \"account\""),
            "f.toml:4:9: connect is an event of the protocol",
        ),
        (format!("{HEAD}[[client]]\nevent = \"\"\ncommand = \"account\""), "f.toml:4:9: an event's name has"),
        (
            format!("{HEAD}[[server]]\non = \"message\"\nevent = \"disconnect\""),
            "f.toml:5:9: disconnect is an event of the protocol",
        ),
        (format!("{server}on = \"massage\""), "f.toml:5:6: unknown occasion massage, known are: connected"),
        (format!("{server}on = 7"), "f.toml:5:6: data did not match"),
        (format!("{server}on = \"read\"\nto = \"nobody\""), "f.toml:6:6: unknown variant `nobody`"),
        (
            format!("{server}on = \"read\"\n[[server]]\non = \"read\"\nevent = \"seen\"\nto = \"others\""),
            "f.toml:9:6: all entries of read must be to the same",
        ),
        (format!("{server}on = \"read\"\nargs = '[.a | é]'"), "f.toml:6:15: token expected"),
        (format!("{server}on = \"read\"\n[refusal]\nargs = '[.]'"), "f.toml:7:8: args without an event"),
        (format!("{server}on = \"read\"\n[connect.sentences]\nNOBODY = \"x\""), "f.toml:7:1: unknown code"),
        (
            "version = 1\nname = \"shop\"\ndefine = 'def f: f;'\n[[server]]\non=\"read\"\nevent=\"x\"".to_owned(),
            "f.toml:3:18: f is not a function",
        ),
        (
            "version = 1\nname = \"shop\"\ndefine = 'def f: $y;'\n[[server]]\non=\"read\"\nevent=\"x\"".to_owned(),
            "f.toml:3:18: unknown variable $y",
        ),
        ("version = 1\nname = \"shop\"\ndefine = '.a'\n[[server]]\non=\"read\"\nevent=\"x\"".to_owned(), "f.toml:3:11: "),
        (format!("{HEAD}# {}", "x".repeat(300_000)), "f.toml:1:1: is larger than"),
    ] {
        let found = problems(&text);
        if !found.iter().any(|line| line.starts_with(expected)) {
            missing.push((expected, found));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn all_faults_are_found_at_once_in_the_order_of_the_file() {
    let text = "version = 3\nname = \"all\"\n[[client]]\nevent = \"a\"\ncommand = \"b\"\n[[server]]\non = \"x\"\nevent = \"y\"\nargs = 'z'";
    let found = problems(text);
    let places: Vec<_> = found.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(places, ["f.toml:1:11:", "f.toml:2:8:", "f.toml:5:11:", "f.toml:7:6:", "f.toml:9:9:"]);
}

#[test]
fn the_file_to_begin_with_has_no_fault() {
    let dialect = FileDialect::parse(Path::new("start.toml"), super::super::START, 1_000_000).unwrap();
    assert_eq!(dialect.remarks(Path::new("start.toml"), super::super::START, crate::dialect::DialectSet::EMPTY), []);
    let shown = dialect.try_event("say", r#"{"to":"bob","text":"Hi"}"#).unwrap();
    assert_eq!(shown["fields"], serde_json::json!({"user": "bob", "content": "Hi", "clientMessageId": null}));
    assert_eq!(shown["shown"]["mine"][0][0], "said");
    assert_eq!(shown["shown"]["messenger"][0][0], "new_message");
    let entered = dialect.try_event("enter", "7").unwrap();
    assert_eq!((&entered[0]["command"], &entered[1]["answer"][0]), (&"join".into(), &"history".into()));
    assert_eq!(dialect.try_event("say", "{}").unwrap()["refusal"][0]["error"], "Missing to");
    assert!(dialect.try_event("cry", "{}").unwrap_err().contains("say, enter"));
    assert!(dialect.try_event("say", "{").unwrap_err().contains("not JSON"));
}
