//! Uploads, and how they are served.
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::server::{Answer, LIMIT, TestApi};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n----------------content";

fn multipart(field: &str, filename: &str, content: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
         --XX\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{filename}\"\r\nContent-Type: text/evil\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--XX--\r\n");
    body
}

async fn upload(api: &TestApi, body: Vec<u8>) -> Answer {
    let bearer = format!("Bearer {}", api.token("ann"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=XX")];
    api.send("POST", "/api/upload", &headers, body).await
}

fn files_in(api: &TestApi) -> usize {
    std::fs::read_dir(&api.uploads).unwrap().count()
}

#[actix_web::test]
async fn a_file_is_uploaded_shown_and_sent() {
    let api = TestApi::start().await;
    let answer = upload(&api, multipart("file", "dir/Ähm 1.PNG", PNG)).await;
    let uploaded = answer.expect(200);
    let file = &uploaded["file"];
    assert_eq!(
        (&file["size"], &file["mimetype"], &file["messageType"]),
        (&json!(PNG.len()), &json!("image/png"), &json!("image"))
    );
    let url = file["url"].as_str().unwrap();
    assert!(url.starts_with("/uploads/") && url.ends_with(".png"));

    let shown = api.send("GET", url, &[], "").await;
    assert_eq!((shown.status, shown.bytes.as_slice()), (200, PNG));
    assert_eq!(shown.header("content-type"), Some("image/png"));
    assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
    let disposition = shown.header("content-disposition").unwrap();
    assert!(disposition.starts_with("inline; filename*=UTF-8''%C3%84hm"), "{disposition}");
    let etag = shown.header("etag").unwrap();
    let unchanged = api.send("GET", url, &[("if-none-match", etag)], "").await;
    assert_eq!((unchanged.status, unchanged.bytes.len()), (304, 0));
    let part = api.send("GET", url, &[("range", "bytes=1-3")], "").await;
    assert_eq!((part.status, part.bytes.as_slice()), (206, &b"PNG"[..]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 1-3/{}", PNG.len()).as_str()));
    let beyond = api.send("GET", url, &[("range", "bytes=900-")], "").await;
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{}", PNG.len()).as_str()));
    beyond.refused(416, "INVALID_PAYLOAD");
    let head = api.send("HEAD", url, &[], "").await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));

    let made = api.call("ann", "POST", "/api/conversations", json!({"type": "direct", "participantId": "bob"})).await;
    let path = format!("/api/conversations/{}/messages", made.text("/conversation/id"));
    let body = json!({"file": {"url": url, "filename": "forged.exe", "size": 1}});
    let sent = api.call("ann", "POST", &path, body.clone()).await.expect(201);
    assert_eq!((&sent["message"]["file"], &sent["message"]["messageType"]), (file, &json!("image")));
    api.call("bob", "POST", &path, body).await.refused(403, "FORBIDDEN");
}

#[actix_web::test]
async fn what_is_not_allowed_leaves_nothing_behind() {
    let api = TestApi::with(|setup| setup.settings.uploads.max_bytes = 20_000).await;
    let large = [PNG, &vec![0; 20_000]].concat();
    for (body, status, code, sentence) in [
        (multipart("file", "a.exe", PNG), 415, "UNSUPPORTED_TYPE", "Invalid file type"),
        (multipart("file", "a.jpg", PNG), 415, "UNSUPPORTED_TYPE", "Invalid file type"),
        (multipart("file", "a.png", b"<html>"), 415, "UNSUPPORTED_TYPE", "Invalid file type"),
        (multipart("file", "a.png", b""), 415, "UNSUPPORTED_TYPE", "Invalid file type"),
        (multipart("file", "", PNG), 400, "INVALID_PAYLOAD", "No file"),
        (multipart("other", "a.png", PNG), 400, "INVALID_PAYLOAD", "No file"),
        (b"--XX--\r\n".to_vec(), 400, "INVALID_PAYLOAD", "No file"),
        (multipart("file", "a.png", &large), 413, "TOO_LARGE", "File too large"),
        (b"garbage".to_vec(), 400, "INVALID_PAYLOAD", "Invalid multipart body"),
        (multipart("file", "a.png", PNG)[..150].to_vec(), 400, "INVALID_PAYLOAD", "Invalid multipart body"),
    ] {
        assert_eq!(upload(&api, body).await.refused(status, code), sentence);
        assert_eq!(files_in(&api), 0, "{sentence}");
    }
    api.call("ann", "POST", "/api/upload", json!({"file": 1})).await.refused(400, "INVALID_PAYLOAD");
    let anonymous =
        api.send("POST", "/api/upload", &[("content-type", "multipart/form-data; boundary=XX")], multipart("file", "a.png", PNG));
    anonymous.await.refused(401, "NO_TOKEN");
    let fits = [PNG, &vec![0; 20_000 - PNG.len()]].concat();
    upload(&api, multipart("file", "a.png", &fits)).await.expect(200);
}

#[actix_web::test]
async fn a_client_that_goes_in_the_middle_leaves_nothing_behind() {
    let api = TestApi::start().await;
    let mut stream = TcpStream::connect(&api.address).unwrap();
    let head = format!(
        "POST /api/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100000\r\n\
         Content-Type: multipart/form-data; boundary=XX\r\n\r\n",
        api.token("ann")
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&multipart("file", "a.png", &[PNG, &vec![0; 30_000]].concat())[..20_000]).unwrap();
    let until = Instant::now() + LIMIT;
    let wait_for = async |count: usize| {
        while files_in(&api) != count {
            assert!(Instant::now() < until, "never {count} files");
            tokio::task::yield_now().await;
        }
    };
    wait_for(1).await;
    drop(stream);
    wait_for(0).await;
}

#[actix_web::test]
async fn a_name_is_what_its_owner_sees() {
    let api = TestApi::start().await;
    // Browsers escape quotes and line ends of a name in this way.
    for (sent, shown) in [("a%22b.png", "a\"b.png"), ("a%0D%0Ab.png", "ab.png"), ("50%25.png", "50%25.png")] {
        let answer = upload(&api, multipart("file", sent, PNG)).await.expect(200);
        assert_eq!(answer["file"]["filename"], shown);
    }
}

#[actix_web::test]
async fn only_what_was_uploaded_is_served() {
    let api = TestApi::start().await;
    std::fs::write(api.uploads.join("0123456789abcdef0123456789abcdef.png"), PNG).unwrap();
    std::fs::write(api.uploads.join("secret"), "x").unwrap();
    for path in [
        "/uploads/secret",
        "/uploads/../uploads/secret",
        "/uploads/..%2Fsecret",
        "/uploads/%2e%2e/secret",
        "/uploads/..%5csecret",
        "/uploads/0123456789abcdef0123456789abcdef.png",
        "/uploads/0123456789abcdef0123456789abcdef.png.part",
        "/uploads/",
        "/uploads/%00",
    ] {
        api.send("GET", path, &[], "").await.refused(404, "NOT_FOUND");
    }
}

#[actix_web::test]
async fn files_can_be_kept_for_users() {
    let api = TestApi::with(|setup| setup.settings.uploads.require_auth = true).await;
    let url = upload(&api, multipart("file", "a.png", PNG)).await.text("/file/url");
    api.send("GET", &url, &[], "").await.refused(401, "NO_TOKEN");
    let cookie = format!("token={}", api.token("bob"));
    let shown = api.send("GET", &url, &[("cookie", &cookie)], "").await;
    assert_eq!((shown.status, shown.bytes.as_slice()), (200, PNG));
    assert_eq!(api.call("bob", "GET", &url, Value::Null).await.status, 200);
}
