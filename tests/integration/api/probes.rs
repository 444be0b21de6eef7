//! Health and readiness.
use serde_json::json;

use super::server::TestApi;

#[actix_web::test]
async fn probes_tell_what_is_wrong() {
    let api = TestApi::start().await;
    let health = api.send("GET", "/api/socket/health", &[], "").await;
    assert_eq!(health.expect(200), json!({"status": "ok", "socket": {"initialized": true, "connected": 0, "rooms": 0}}));
    api.send("GET", "/healthz", &[], "").await.expect(200);
    api.send("GET", "/readyz", &[], "").await.expect(200);
    api.drain();
    let ready = api.send("GET", "/readyz", &[], "").await;
    ready.refused(503, "DRAINING");
    assert_eq!(ready.json()["reasons"], json!(["the server is stopping"]));
    api.send("GET", "/healthz", &[], "").await.expect(200);
}
