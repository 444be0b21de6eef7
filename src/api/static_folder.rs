//! Files from a configured folder.
use std::path::PathBuf;

use actix_files::NamedFile;
use actix_web::http::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::block;
use actix_web::{HttpRequest, HttpResponse};

use crate::web::HttpError;

/// Answers with a file, or 304 if it has not changed; without a `mimetype` the name decides.
///
/// # Errors
/// 404 with this text if it does not exist.
pub(super) async fn serve_file(
    request: &HttpRequest,
    path: PathBuf,
    mimetype: Option<&str>,
    missing: &'static str,
) -> Result<HttpResponse, HttpError> {
    let open = move || NamedFile::open(path).ok().filter(|file| file.metadata().is_file());
    let opened = block(open).await.map_err(HttpError::internal)?;
    let mut opened = opened.ok_or_else(|| HttpError::not_found(missing))?.disable_content_disposition();
    if let Some(mimetype) = mimetype {
        opened = opened.set_content_type(mimetype.parse().map_err(HttpError::internal)?);
    }
    let mut response = opened.into_response(request);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
