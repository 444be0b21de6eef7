//! Answers: a page, one of its files, or 304 for an unchanged one.
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, Header as _,
    IF_NONE_MATCH, IfNoneMatch, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Data, ReqData, block};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::json;

use super::files::{self, DIGEST, File};
use crate::config::WebChat;
use crate::model::digest;
use crate::web::{HttpError, RequestOrigin, WebState, may_see_demo, path_text};

/// `Content-Security-Policy` of the pages: everything comes from this server, nothing inline runs, no text becomes markup,
/// and no other page frames them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; media-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'";
/// `Cache-Control` of files whose address changes with their content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET /`: the demo where it is offered, else the chat; `?chat` asks for the chat in any case.
pub(super) async fn index(
    state: Data<WebState>,
    origin: ReqData<RequestOrigin>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    must_be_on(&state)?;
    let wants_chat = request.query_string().split('&').any(|part| part == "chat");
    // While the store is away nobody can talk in the demo either.
    let is_demo = !wants_chat && may_see_demo(&state, &origin, request.headers()).await.unwrap_or_default();
    let settings = json!({
        "socketPath": state.settings.socket_path,
        "mayRegister": state.settings.allow_registration,
    });
    let template = if is_demo { include_str!("page/demo.html") } else { include_str!("page/index.html") };
    Ok(page(&request, template, &settings))
}

/// `GET /widget.js`: a loader at a fixed address, since other pages name it; it imports the files of this release.
pub(super) async fn widget(state: Data<WebState>, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    must_be_on(&state)?;
    let settings = json!({"socketPath": state.settings.socket_path}).to_string();
    let text = include_str!("page/widget.js").replace("{digest}", &DIGEST).replace("{settings}", &settings);
    Ok(answer(&request, "text/javascript; charset=utf-8", text))
}

/// `GET /web-chat/{digest}/{file}`
pub(super) async fn file(state: Data<WebState>, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    must_be_on(&state)?;
    let file = files::find(&path_text(&request, "file")).filter(|_| path_text(&request, "digest") == *DIGEST);
    let file = file.ok_or_else(|| HttpError::not_found("Not found"))?;
    let tag = EntityTag::new_strong(DIGEST.clone());
    let mut response = begin(&request, &tag, FOR_EVER);
    response.insert_header((VARY, "Accept-Encoding"));
    if has(&request, &tag) {
        return Ok(response.finish());
    }
    response.insert_header((CONTENT_TYPE, file.kind()));
    let Some(compressed) = compressed(&request, file).await? else { return Ok(response.body(file.text())) };
    Ok(response.insert_header((CONTENT_ENCODING, "gzip")).body(compressed))
}

fn must_be_on(state: &WebState) -> Result<(), HttpError> {
    match state.settings.web_chat {
        WebChat::Off => Err(HttpError::not_found("Not found")),
        WebChat::On | WebChat::Demo => Ok(()),
    }
}

/// Returns the gzip form if the browser takes it.
async fn compressed(request: &HttpRequest, file: &'static File) -> Result<Option<&'static [u8]>, HttpError> {
    let takes_gzip = request.headers().get_all(ACCEPT_ENCODING).any(|value| value.to_str().is_ok_and(takes_gzip));
    if !takes_gzip {
        return Ok(None);
    }
    if let Some(compressed) = file.compressed() {
        return Ok(Some(compressed));
    }
    // The threads of connections carry messages: they do not compress.
    let compressed = block(|| file.compress()).await.map_err(HttpError::internal)?;
    compressed.map(Some).map_err(HttpError::internal)
}

/// Returns whether an `Accept-Encoding` takes gzip; `gzip;q=0` refuses it.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        is_gzip && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Returns a page, with the address of its files and its settings filled in.
fn page(request: &HttpRequest, template: &str, settings: &serde_json::Value) -> HttpResponse {
    let text = template.replace("{digest}", &DIGEST).replace("{settings}", &escaped(&settings.to_string()));
    answer(request, "text/html; charset=utf-8", text)
}

/// Returns a text that browsers ask for again each time, as another release or other settings may change it.
fn answer(request: &HttpRequest, kind: &'static str, text: String) -> HttpResponse {
    let tag: String = digest([text.as_str()]).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = EntityTag::new_strong(tag);
    let mut response = begin(request, &tag, "no-cache");
    if has(request, &tag) { response.finish() } else { response.insert_header((CONTENT_TYPE, kind)).body(text) }
}

fn begin(request: &HttpRequest, tag: &EntityTag, cache: &'static str) -> HttpResponseBuilder {
    let mut response = if has(request, tag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag.to_string()))
        .insert_header((CACHE_CONTROL, cache))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"));
    response
}

/// Returns whether the browser already has this version.
fn has(request: &HttpRequest, tag: &EntityTag) -> bool {
    if !request.headers().contains_key(IF_NONE_MATCH) {
        return false;
    }
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(tag)),
        Err(_) => false,
    }
}

/// Escapes a text for the value of an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_not_refused() {
        for (accepted, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.8", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, br", false),
            ("gzip;q=x", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(accepted), expected, "{accepted}");
        }
    }

    #[test]
    fn no_setting_leaves_its_attribute() {
        assert_eq!(escaped(r#"{"a":"<b>&amp;"}"#), "{&quot;a&quot;:&quot;&lt;b>&amp;amp;&quot;}");
    }
}
