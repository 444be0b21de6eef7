use super::*;

fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<Found> + 'a {
    move |name| {
        let (_, value) = pairs.iter().find(|(known, _)| *known == name)?;
        Some(Found { value: OsString::from(value), source: "environment" })
    }
}

fn refused(name: &str, value: &str) -> String {
    Config::load(env(&[(name, value)])).unwrap_err().to_string()
}

#[test]
fn nothing_set_is_the_default() {
    let config = Config::load(|_| None).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    let listed = Config::list(|_| None).unwrap();
    assert!(listed.iter().all(|setting| setting.source == "default" && !setting.help.is_empty()));
}

#[test]
fn every_printed_default_reads_back_as_itself() {
    let listed = Config::list(|_| None).unwrap();
    for Listed { name, value, .. } in &listed {
        if value.is_empty() {
            continue;
        }
        let again = Config::list(env(&[(name, value)])).unwrap();
        let found = again.iter().find(|setting| setting.name == *name).unwrap();
        assert_eq!((&found.value, found.source), (value, "environment"), "{name}");
    }
}

#[test]
fn defaults_are_those_of_the_design() {
    let listed = Config::list(|_| None).unwrap();
    let expected = [
        ("HOST", "localhost"),
        ("PORT", "3000"),
        ("SOCKET_PATH", "/socket.io"),
        ("DATA_DIR", "./data"),
        ("CLIENT_URL", ""),
        ("TRUSTED_PROXIES", ""),
        ("SHUTDOWN_TIMEOUT", "10s"),
        ("RUST_LOG", "info"),
        ("LOG_FORMAT", "text"),
        ("DB_POOL_SIZE", "10"),
        ("DELIVERY", "live"),
        ("STORE_RETRY_FOR", "30s"),
        ("STORE_QUEUE", "10000"),
        ("RETAIN_MESSAGES", "0s"),
        ("JWT_SECRET", ""),
        ("TOKEN_TTL", "7d"),
        ("REQUIRE_EXP", "false"),
        ("ALLOW_REGISTRATION", "true"),
        ("CATCH_UP", "on"),
        ("CATCH_UP_MAX", "5000"),
        ("DIALECTS", "all"),
        ("PRESENCE_SCOPE", "everyone"),
        ("TYPING_TTL", "30s"),
        ("OUTBOX_BYTES", "1MB"),
        ("MAX_PACKET_SIZE", "1000000"),
        ("MAX_UPLOAD_SIZE", "50MB"),
        ("AI_PROVIDER", "echo"),
        ("AI_TIMEOUT", "1m"),
        ("AI_TOTAL_TIMEOUT", "10m"),
        ("AI_CONCURRENCY", "8"),
        ("AI_ERROR_TEXT", "Sorry, I cannot answer right now. Please try again."),
    ];
    for (name, value) in expected {
        let found = listed.iter().find(|setting| setting.name == name).unwrap();
        assert_eq!(found.value, value, "{name}");
    }
}

#[test]
fn values_are_read_in_their_units() {
    let config = Config::load(env(&[
        ("PORT", "0"),
        ("PING_INTERVAL", "250ms"),
        ("TOKEN_TTL", "2h"),
        ("OUTBOX_BYTES", "64KB"),
        ("MAX_PACKET_SIZE", "2000000"),
        ("DELIVERY", "stored"),
        ("REQUIRE_EXP", "true"),
        ("DIALECTS", "messenger, messenger"),
        ("API_KEYS", "one,two"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("HOST", ""),
        ("UNKNOWN_NAME", "whatever"),
    ]))
    .unwrap();
    assert_eq!(config.port, 0);
    assert_eq!(config.ping_interval, Duration::from_millis(250));
    assert_eq!(config.token_ttl, Duration::from_secs(7200));
    assert_eq!(config.outbox_bytes, 65_536);
    assert_eq!(config.max_packet_size, 2_000_000);
    assert_eq!(config.delivery, Delivery::Stored);
    assert!(config.require_exp);
    assert_eq!(config.dialects, DialectNames::Listed(vec!["messenger".to_owned()]));
    assert_eq!(config.api_keys.len(), 2);
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.host, Host::Localhost);
}

#[test]
fn a_bad_value_is_one_line_with_the_name() {
    for (name, value) in [
        ("PORT", "70000"),
        ("PORT", "+5"),
        ("PORT", "http"),
        ("PING_INTERVAL", "25"),
        ("PING_INTERVAL", "0s"),
        ("PING_INTERVAL", "25 s"),
        ("PING_INTERVAL", "-1s"),
        ("TOKEN_TTL", "99999999999999999999d"),
        ("TOKEN_TTL", "18446744073709551615d"),
        ("OUTBOX_BYTES", "1TB"),
        ("OUTBOX_BYTES", "1mb"),
        ("REQUIRE_EXP", "yes"),
        ("REQUIRE_EXP", "TRUE"),
        ("DELIVERY", "fast"),
        ("PRESENCE_SCOPE", "nobody"),
        ("DIALECTS", ","),
        ("CATCH_UP", "maybe"),
        ("SOCKET_PATH", "socket.io"),
        ("SOCKET_PATH", "/a?b"),
        ("SOCKET_PATH", "/api"),
        ("SOCKET_PATH", "/uploads/io/"),
        ("CLIENT_URL", "example.org"),
        ("CLIENT_URL", "*,https://example.org"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("DATABASE_URL", "mysql://db"),
        ("DATABASE_URL", "sqlite://"),
        ("DB_POOL_SIZE", "0"),
        ("STORE_QUEUE", "0"),
        ("ADMIN_UI_MODE", "staging"),
        ("AI_PROVIDER", "gpt"),
        ("AI_URL", "localhost:8000"),
        ("AI_CONCURRENCY", "0"),
        ("AI_TIMEOUT", "0s"),
        ("AI_TOTAL_TIMEOUT", "0s"),
        ("RUST_LOG", "parlance=loud"),
        ("RUST_LOG", "a=b=c"),
        ("LOG_FORMAT", "JSON"),
        ("HOST", "http://localhost"),
        ("HOST", "a b\nc"),
    ] {
        let line = refused(name, value);
        assert!(line.starts_with(&format!("{name}: ")), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
    assert!(refused("PING_INTERVAL", "25").contains("25s"), "a bare number is refused with a hint");
    assert!(refused("PORT", "70000").ends_with("is not a whole number from 0 to 65535"));
}

#[test]
fn all_bad_values_are_found_at_once() {
    let problems = Config::problems(env(&[("PORT", "http"), ("HOST", "::1"), ("TYPING_TTL", "6")]));
    let names: Vec<_> = problems.iter().map(|problem| problem.name).collect();
    assert_eq!(names, ["PORT", "TYPING_TTL"]);
    assert!(Config::NAMES.contains(&"PORT") && Config::NAMES.len() == Config::list(|_| None).unwrap().len());
}

#[test]
fn secrets_are_shown_nowhere() {
    let pairs = [
        ("JWT_SECRET", "hush-1"),
        ("JWT_ACCESS_SECRET_KEY", "hush-2"),
        ("JWT_SECRETE", "hush-3"),
        ("API_KEYS", "hush-4,hush-5"),
        ("AI_API_KEY", "hush-8"),
        ("ADMIN_UI_PASSWORD", "hush-9"),
        ("METRICS_TOKEN", "hush-10"),
        ("DATABASE_URL", "postgres://ann:hush-6@db/chat?password=hush-7&sslmode=prefer"),
    ];
    let config = Config::load(env(&pairs)).unwrap();
    let listed = Config::list(env(&pairs)).unwrap();
    let shown = format!("{config:?} {listed:?} {config:#?}");
    assert!(!shown.contains("hush"), "{shown}");
    let secrets: Vec<_> = config.jwt_secrets().iter().map(|secret| secret.expose().to_owned()).collect();
    assert_eq!(secrets, ["hush-1", "hush-2", "hush-3"]);
    assert!(config.database_url.as_str().contains("hush-6"));
}

#[test]
fn a_value_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let find = |name: &str| (name == "DATA_DIR").then(|| Found { value: OsString::from_vec(vec![0xff]), source: "environment" });
    assert_eq!(Config::load(find).unwrap_err().name, "DATA_DIR");
}
