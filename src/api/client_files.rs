//! The browser client's files, served beside the endpoint (source: socket.io, "serveClient").
use std::io;
use std::path::Path;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::static_folder::serve_file;
use crate::web::{HttpError, WebState, endpoint, get_or_head};

/// Their names, as in the folder `dist` of the npm package `socket.io-client`.
pub const CLIENT_FILES: &[&str] = &[
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
];

/// Checks that a folder is usable.
///
/// # Errors
/// If it is missing, or has no client in it.
pub fn check_client_files(folder: &Path) -> io::Result<()> {
    std::fs::metadata(folder.join("socket.io.js")).map(drop)
}

/// Adds a route for each file below the endpoint's path.
pub(super) fn add(config: &mut ServiceConfig, socket_path: &str) {
    for name in CLIENT_FILES {
        let route = get_or_head().to(move |state: Data<WebState>, request: HttpRequest| serve(state, request, name));
        config.service(endpoint(&format!("{socket_path}/{name}"), "GET, HEAD").route(route));
    }
}

async fn serve(state: Data<WebState>, request: HttpRequest, name: &'static str) -> Result<HttpResponse, HttpError> {
    let Some(folder) = &state.settings.client_files else {
        return Err(HttpError::not_found(
            "Set CLIENT_FILES to the folder dist of the npm package socket.io-client to have it served",
        ));
    };
    let mimetype = if name.ends_with(".map") { "application/json" } else { "application/javascript" };
    let missing = "The folder of CLIENT_FILES has no such file";
    let mut response = serve_file(&request, folder.join(name), Some(mimetype), missing).await?;
    // Another release of the client may replace it.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
    Ok(response)
}
