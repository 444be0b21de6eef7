use super::*;

fn run(filter: &str, input: &str) -> Result<String, Failure> {
    let filter = Filter::parse(filter, &Definitions::default()).unwrap();
    filter.run(input.len(), || Value::parse(input)).map(|value| value.to_json())
}

fn faults(filter: &str) -> Vec<(usize, String)> {
    let faults = Filter::parse(filter, &Definitions::default()).map(|_| ()).unwrap_err();
    faults.into_iter().map(|Fault { at, text }| (at, text)).collect()
}

#[test]
fn filters_say_what_they_say_in_jq() {
    for (filter, input, expected) in [
        (".", r#"{"a":1,"b":[null,true,-0.5,"é\n"]}"#, r#"{"a":1,"b":[null,true,-0.5,"é\n"]}"#),
        (".[0] | {user: .to, content: .text}", r#"[{"to":"bob","text":"hi"}]"#, r#"{"user":"bob","content":"hi"}"#),
        ("{a, b: .c.d, (\"x\" + .a): 1}", r#"{"a":"k","c":{"d":[]}}"#, r#"{"a":"k","b":[],"xk":1}"#),
        ("[.[] | select(. > 1) | . * 2]", "[1,2,3]", "[4,6]"),
        ("map(.a // \"none\")", r#"[{"a":null},{"a":2}]"#, r#"["none",2]"#),
        ("reduce .[] as $x (0; . + $x)", "[1,2,3.5]", "6.5"),
        ("[foreach .[] as $x (0; . + $x)]", "[1,2]", "[1,3]"),
        ("if .a then \"yes\" elif .b then \"b\" else \"no\" end", r#"{"b":0}"#, r#""b""#),
        ("\"\\(.a)-\\(.b)\"", r#"{"a":"x","b":[1]}"#, r#""x-[1]""#),
        ("try error(\"x\") catch .", "null", r#""x""#),
        ("[.[1:], .[-1], .[5], .[:1]]", "[1,2,3]", "[[2,3],3,null,[1]]"),
        (".[1:3]", r#""aéz""#, r#""éz""#),
        (".a.b |= . + 1 | del(.c)", r#"{"a":{"b":1},"c":2}"#, r#"{"a":{"b":2}}"#),
        (".[] |= . + 1", "[1,2]", "[2,3]"),
        ("to_entries | map(.key) | sort | join(\",\")", r#"{"b":1,"a":2}"#, r#""a,b""#),
        ("with_entries(.value += 1) | compact", r#"{"b":1}"#, r#"{"b":2}"#),
        ("{a, b} | compact", r#"{"a":null,"b":false}"#, r#"{"b":false}"#),
        ("[unique, min, max, add, length, (reverse | first), last]", "[2,1,2]", "[[1,2],1,2,5,3,2,2]"),
        ("sort_by(.n) | map(.n)", r#"[{"n":2},{"n":1}]"#, "[1,2]"),
        ("[any(. > 1), all(. > 1), isempty(empty), has(1), contains(2), index(2)]", "[1,2]", "[true,false,true,true,true,1]"),
        (
            "[startswith(\"a\"), endswith(\"c\"), ltrimstr(\"a\"), rtrimstr(\"c\"), index(\"c\"), contains(\"b\")]",
            "\"abc\"",
            r#"[true,true,"bc","ab",2,true]"#,
        ),
        ("[ascii_upcase, (split(\" \") | length), trim, length]", "\" é b\"", r#"[" é B",3,"é b",4]"#),
        (
            "[(.[0] | tonumber), (.[1] | tostring), (.[1] | tojson), (.[2] | floor), (.[0] | type)]",
            "[\"7\",[1],2.7]",
            r#"[7,"[1]","[1]",2,"string"]"#,
        ),
        ("[time_ms, (time_ms | time_text)]", r#""2026-01-02T03:04:05.678Z""#, r#"[1767323045678,"2026-01-02T03:04:05.678Z"]"#),
        ("[7 / 2, 6 / 2, 7 % 4, 1 - 3, -(2), 9223372036854775807 + 1]", "null", "[3.5,3,3,-2,-2,9.223372036854776e+18]"),
        ("[null < false, \"a\" < [], {} > [], ({a: 1} == {a: 1})]", "null", "[true,true,true,true]"),
        (". as {a: $x, b: [$y]} | [$x, $y]", r#"{"a":1,"b":[2]}"#, "[1,2]"),
        ("def twice($x): $x + $x; twice(.)", "\"ab\"", r#""abab""#),
        ("null", "1", "null"),
    ] {
        assert_eq!(run(filter, input).as_deref(), Ok(expected), "{filter}");
    }
}

#[test]
fn a_filter_has_one_result_or_says_why_not() {
    for (filter, input, expected) in [
        ("empty", "1", Failure::Nothing),
        (".[]", "[]", Failure::Nothing),
        (".[]", "[1,2]", Failure::Several),
        ("1, 2", "null", Failure::Several),
        ("error(\"content\")", "null", Failure::Said("content".to_owned())),
        (".a.b", "{\"a\":7}", Failure::Unfit),
        ("\"x\" * 1000000", "null", Failure::Unfit),
        (". + 1", "\"x\"", Failure::Unfit),
        (".a / 0", "{\"a\":1}", Failure::Unfit),
        ("error({a: 1})", "null", Failure::Unfit),
        (".[\"a\":]", "[1]", Failure::Unfit),
    ] {
        assert_eq!(run(filter, input), Err(expected), "{filter}");
    }
}

#[test]
fn what_has_no_bound_is_refused_with_its_place() {
    let mut missing = Vec::new();
    for (filter, at, part) in [
        ("..", 0, "`..`"),
        ("[.. | .a]", 0, "`..`"),
        (" recurse", 1, "recurse is not"),
        ("[range(5)]", 1, "range is not"),
        (". | repeat(.)", 4, "repeat is not"),
        ("until(. > 9; . + 1)", 0, "until is not"),
        ("while(true; .)", 0, "while is not"),
        ("[limit(3; .[])]", 1, "limit is not"),
        ("input", 0, "input is not"),
        ("env.HOME", 0, "env is not"),
        ("$ENV", 0, "unknown variable $ENV"),
        ("$__loc__", 0, "unknown variable"),
        ("getpath([\"a\"])", 0, "getpath is not"),
        ("now", 0, "now is not"),
        ("debug", 0, "debug is not"),
        ("halt", 0, "halt is not"),
        ("test(\"a+\")", 0, "test is not"),
        ("combinations", 0, "combinations is not"),
        ("fromjson", 0, "fromjson is not"),
        ("path(.a)", 0, "path is not"),
        ("walk(.)", 0, "walk is not"),
        ("@base64", 0, "@base64 is not"),
        ("@json \"\\(.)\"", 0, "@json is not"),
        ("label $out | 1", 6, "`label`"),
        ("def f: f; f", 7, "f is not"),
        ("def f(g): g; f(1)", 6, "write $g"),
        ("def a: def b: a; b; a", 14, "a is not"),
        ("error_empty", 0, "error_empty is not"),
        ("map", 0, "map does not have 0 arguments"),
        ("map(nothing)", 4, "nothing is not"),
        (".a |", 4, "term expected, not the end"),
        ("{a: }", 4, "term expected, not }"),
        ("\"open", 5, "closing quote expected"),
        ("[1", 2, "closing bracket expected"),
        (". & .", 2, "token expected"),
        ("import \"x\" as x; .", 7, "nothing expected"),
        ("reduce .[] as $x (1; ., .)", 0, "a comma in `reduce`"),
        ("[(1,2,3,4,5) | (1,2,3,4,5) | (1,2,3,4,5)]", 0, "more than 64"),
        ("(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)", 0, "more than 64"),
        ("def a: (.,.,.); def b: a|a; def c: b|b; [c]", 0, "more than 64"),
        ("def a: (.,.,.); def b: a|a; def c: b|b; {x: c, y: c}", 0, "more than 64"),
    ] {
        let found = faults(filter);
        if !found.iter().any(|(place, text)| *place == at && text.contains(part)) {
            missing.push((filter, found));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    assert!(faults(&deep).iter().any(|(_, text)| text == "is nested too deeply"));
    assert!(faults(&"-".repeat(4_000)).iter().any(|(_, text)| text == "is nested too deeply"));
    for chain in [".|".repeat(2_000) + ".", "1//".repeat(1_300) + "1", ".,".repeat(2_000) + ".", "if . then ".repeat(180) + "1"] {
        assert!(faults(&chain).iter().any(|(_, text)| text.contains("joins more than")), "{chain}");
    }
    let doubled: String = (1..=12).map(|number| format!("def f{number}: f{0}|f{0};", number - 1)).collect();
    assert!(faults(&format!("def f0: .;{doubled} f12")).iter().any(|(_, text)| text.contains("2000 steps")));
    assert!(faults(&" ".repeat(5_000)).iter().any(|(_, text)| text.contains("longer")));
}

#[test]
fn work_is_bounded_by_the_input() {
    let list = format!("[{}]", vec!["0"; 200_000].join(","));
    let objects = format!("[{}]", vec![r#"{"a":[1,2,3]}"#; 20_000].join(","));
    let keys: Vec<_> = (0..50_000).map(|number| format!("\"k{number}\":0")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    for (filter, input) in [
        ("[.[] as $a | .[] as $b | [$a, $b]]", &list),
        ("[.[] | . as $x | $x] | [.[] as $a | .[]] | length", &list),
        ("reduce .[] as $x (\"x\"; . + .)", &list),
        ("reduce .[] as $x ([]; [., .])", &list),
        ("reduce .[] as $x ([]; . + [$x])", &list),
        ("reduce .[] as $x (\"\"; . + \"xxxxxxxxxxxxxxxx\")", &list),
        ("reduce .[] as $x (.; [.])", &list),
        ("reduce .[] as $x (null; .[]?, 1)", &list),
        ("[.[] | try error(\"x\") catch .] | map(. + \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\") | add", &list),
        ("[.[] as $x | [.[] | select(. == $x)?] | length]", &objects),
        ("map(. as $x | [$x, $x, $x, $x]) | map(map([., .])) | . == .", &list),
        (". as $all | map($all | tojson) | length", &objects),
        ("[to_entries[] as $x | .[$x.key]]", &keys),
        ("map(.a) - map(.a)", &objects),
        (". as $o | [.[] | $o | length, (.[] | .a | length)] | add", &objects),
    ] {
        let Ok(filter_ok) = Filter::parse(filter, &Definitions::default()) else { continue };
        let begun = std::time::Instant::now();
        let outcome = filter_ok.run(input.len(), || Value::parse(input)).map(|value| value.to_json().len());
        let took = begun.elapsed();
        assert!(took < std::time::Duration::from_secs(20), "{filter} took {took:?}");
        if let Ok(length) = outcome {
            assert!(length <= 64 * input.len() + 1_000_000, "{filter}: {length}");
        }
    }
    // What is linear is done.
    assert!(run("map(. + 1) | add", &list).is_ok());
    assert!(run("map({b: .a}) | map(.b[0])", &objects).is_ok());
    // Doubling is not: its result would be larger than any message.
    let doubled = ". + . | ".repeat(60);
    assert_eq!(run(&format!("{doubled}length"), "\"xxxxxxxxxxxxxxxx\""), Err(Failure::TooMuchWork));
    let nested = "[., .] | ".repeat(60);
    assert_eq!(run(&format!("{nested}tojson"), "1"), Err(Failure::TooMuchWork));
    assert_eq!(run(&format!("{nested}. == ."), "1"), Err(Failure::TooMuchWork));
    assert_eq!(run("[.] | ".repeat(130).trim_end_matches("| "), "1"), Err(Failure::TooMuchWork), "too deep");
}
