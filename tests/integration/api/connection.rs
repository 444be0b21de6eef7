//! The address of the socket endpoint.
use serde_json::json;

use super::server::TestApi;

const PATH: &str = "/app/get-connection-id";

#[actix_web::test]
async fn the_answer_is_the_front_ends_document() {
    let api = TestApi::start().await;
    let mut answer = api.send("GET", PATH, &[("host", "localhost:3000")], "").await.expect(200);
    let timestamp = answer.pointer_mut("/data/connectionInfo/timestamp").unwrap().take();
    let time = chrono::DateTime::parse_from_rfc3339(timestamp.as_str().unwrap()).unwrap();
    assert!((chrono::Utc::now() - time.to_utc()).num_seconds().abs() < 60, "{timestamp}");
    assert_eq!(
        answer,
        json!({
            "success": true,
            "data": {
                "websocketUrl": "ws://localhost:3000",
                "connectionInfo": {"protocol": "ws", "host": "localhost:3000", "port": "3000", "timestamp": null},
                "instructions": {
                    "authentication": "Include JWT token in auth.token or Authorization header",
                    "events": [
                        "notification:get → notification:receive",
                        "connection:get → connection:receive",
                        "conversation:get → conversation:receive",
                        "message:send → message:receive",
                    ],
                },
            },
        })
    );
    api.send("POST", PATH, &[], "").await.refused(405, "METHOD_NOT_ALLOWED");
}

#[actix_web::test]
async fn it_follows_the_host_and_a_trusted_proxy() {
    let trusting = TestApi::with(|setup| setup.trusted_proxies = vec!["127.0.0.1".to_owned()]).await;
    let other = TestApi::start().await;
    let forwarded = [("host", "inner:3000"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "chat.example")];
    let with_port = [&forwarded[..], &[("x-forwarded-port", "8443")]].concat();
    for (api, headers, expected) in [
        (&trusting, &[("host", "chat.example")][..], ["ws://chat.example", "ws", "chat.example", "80"]),
        (&trusting, &[("host", "[::1]:3000")], ["ws://[::1]:3000", "ws", "[::1]:3000", "3000"]),
        (&trusting, &forwarded, ["wss://chat.example", "wss", "chat.example", "443"]),
        (&trusting, &with_port, ["wss://chat.example:8443", "wss", "chat.example:8443", "8443"]),
        (&other, &with_port, ["ws://inner:3000", "ws", "inner:3000", "3000"]),
    ] {
        let answer = api.send("GET", PATH, headers, "").await;
        let pointers = ["/data/websocketUrl", "/data/connectionInfo/protocol", "/data/connectionInfo/host"];
        let found: Vec<_> = pointers.iter().chain(&["/data/connectionInfo/port"]).map(|pointer| answer.text(pointer)).collect();
        assert_eq!(found, expected, "{headers:?}");
    }
    let odd = [("host", "inner:3000"), ("x-forwarded-host", "user@chat.example/path")];
    let answer = trusting.send("GET", PATH, &odd, "").await;
    assert_eq!(answer.text("/data/connectionInfo/host"), trusting.address, "what is no host is not repeated");
}
