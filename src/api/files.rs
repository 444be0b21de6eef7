//! `GET /uploads/{name}`
use actix_files::NamedFile;
use actix_web::dev::Payload;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_RANGE, Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Data, block};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse};
use serde_json::json;

use super::upload_dir::type_of_stored;
use crate::chat::ChatError;
use crate::model::MessageClass;
use crate::store;
use crate::web::{AuthenticatedUser, HttpError, WebState, path_text};

/// Serves a stored file, or a range of it.
pub(super) async fn serve(state: Data<WebState>, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    if state.settings.uploads.require_auth {
        AuthenticatedUser::from_request(&request, &mut Payload::None).await?;
    }
    let name = path_text(&request, "name");
    let file_type = type_of_stored(&name).ok_or(ChatError::FileNotFound)?;
    let url = format!("/uploads/{name}");
    let mut found = state.store.read(move |conn| store::find_uploads(conn, &[url])).await?;
    let (file, _) = found.pop().ok_or(ChatError::FileNotFound)?;
    let path = state.settings.uploads.dir.join(&name);
    let opened = block(move || NamedFile::open(path)).await.map_err(HttpError::internal)?;
    let mimetype = file_type.mimetype.parse().map_err(HttpError::internal)?;
    let opened = opened
        .map_err(|_| ChatError::FileNotFound)?
        .set_content_type(mimetype)
        .set_content_disposition(disposition(file_type.mimetype, file.filename))
        .prefer_utf8(false);
    let mut response = opened.into_response(&request);
    if response.status().as_u16() == 416 {
        let http_error = HttpError::new(response.status(), "INVALID_PAYLOAD", "Invalid range").with("size", json!(file.size));
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let headers = range.map(|range| ("content-range", range.to_owned())).into_iter().collect();
        return Err(http_error.with_headers(headers));
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A name's content never changes; but shared caches must not keep a file that requires a token.
    let cache = if state.settings.uploads.require_auth { "private, no-cache" } else { "public, max-age=31536000, immutable" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    Ok(response)
}

/// Returns whether browsers show the file, if that is harmless, or save it, under the uploader's file name.
fn disposition(mimetype: &str, filename: String) -> ContentDisposition {
    let is_shown = mimetype == "application/pdf" || MessageClass::of_mimetype(mimetype) != MessageClass::File;
    let name = ExtendedValue { charset: Charset::Ext("UTF-8".to_owned()), language_tag: None, value: filename.into_bytes() };
    ContentDisposition {
        disposition: if is_shown { DispositionType::Inline } else { DispositionType::Attachment },
        parameters: vec![DispositionParam::FilenameExt(name)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded() {
        for (mimetype, shown) in [
            ("image/png", "inline; filename*=UTF-8''%C3%A4%20%22%3B%0D%0A.x"),
            ("application/pdf", "inline; filename*=UTF-8''%C3%A4%20%22%3B%0D%0A.x"),
            ("application/msword", "attachment; filename*=UTF-8''%C3%A4%20%22%3B%0D%0A.x"),
        ] {
            assert_eq!(disposition(mimetype, "ä \";\r\n.x".to_owned()).to_string(), shown);
        }
    }
}
