//! The address of the socket endpoint.
use actix_web::http::uri::Authority;
use actix_web::web::ReqData;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::dialect::agent_exchanges;
use crate::model::Timestamp;
use crate::web::RequestOrigin;

/// `GET /app/get-connection-id`
pub(super) async fn find(request: HttpRequest, origin: ReqData<RequestOrigin>) -> HttpResponse {
    let client = &origin.client;
    let (protocol, default_port) = if client.secure { ("wss", "443") } else { ("ws", "80") };
    let asked = client.host.as_deref().and_then(authority_of);
    // HTTP/1.0 allows requests without a host: they get the address at which they arrived.
    let host = asked.unwrap_or_else(|| request.app_config().local_addr().to_string());
    let port = host.parse::<Authority>().ok().and_then(|authority| authority.port().map(|port| port.to_string()));
    HttpResponse::Ok().json(json!({
        "success": true,
        "data": {
            "websocketUrl": format!("{protocol}://{host}"),
            "connectionInfo": {
                "protocol": protocol,
                "host": host,
                "port": port.as_deref().unwrap_or(default_port),
                "timestamp": Timestamp::now(),
            },
            "instructions": {
                "authentication": "Include JWT token in auth.token or Authorization header",
                "events": agent_exchanges(),
            },
        },
    }))
}

/// Returns a host, with or without a port; `None` if the text is anything else.
fn authority_of(host: &str) -> Option<String> {
    let authority: Authority = host.parse().ok()?;
    (!host.contains('@')).then(|| authority.to_string())
}
