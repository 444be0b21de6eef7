//! Machine-readable descriptions of the interfaces, made at the first request from the types that make up the answers.
use std::fmt::Write as _;
use std::sync::OnceLock;

use actix_web::http::header::{CACHE_CONTROL, ContentType, ETAG, EntityTag, IF_NONE_MATCH, IfNoneMatch};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest as _, Sha256};

use crate::dialect;
use crate::schema::Call;
use crate::web::{Operation, openapi};

/// The documents of one server.
pub(super) struct Documents {
    operations: Vec<Operation>,
    calls: Vec<Call>,
    openapi: OnceLock<Document>,
    asyncapi: OnceLock<Document>,
    types: OnceLock<Document>,
}

struct Document {
    text: String,
    tag: EntityTag,
}

impl Document {
    fn new(text: String) -> Self {
        let mut tag = String::new();
        for byte in Sha256::digest(&text).iter().take(16) {
            // Writing to a String cannot fail.
            let _ = write!(tag, "{byte:02x}");
        }
        Self { text, tag: EntityTag::new_strong(tag) }
    }

    fn answer(&self, request: &HttpRequest, content_type: ContentType) -> HttpResponse {
        let has_it = match request.headers().contains_key(IF_NONE_MATCH).then(|| actix_web::http::header::Header::parse(request))
        {
            Some(Ok(IfNoneMatch::Any)) => true,
            Some(Ok(IfNoneMatch::Items(tags))) => tags.iter().any(|tag: &EntityTag| tag.weak_eq(&self.tag)),
            Some(Err(_)) | None => false,
        };
        let mut response = if has_it { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        // Another release has other documents.
        response.insert_header((ETAG, self.tag.to_string())).insert_header((CACHE_CONTROL, "no-cache"));
        if has_it { response.finish() } else { response.content_type(content_type).body(self.text.clone()) }
    }
}

impl Documents {
    /// Makes the documents of a server with these routes and these requests to the operator's own server.
    pub(super) fn new(operations: Vec<Operation>, calls: Vec<Call>) -> Self {
        Self { operations, calls, openapi: OnceLock::new(), asyncapi: OnceLock::new(), types: OnceLock::new() }
    }
}

/// `GET /api/openapi.json`
pub(super) async fn openapi_document(documents: Data<Documents>, request: HttpRequest) -> HttpResponse {
    let document = documents.openapi.get_or_init(|| Document::new(openapi(&documents.operations, &documents.calls).to_string()));
    document.answer(&request, ContentType::json())
}

/// `GET /api/asyncapi.json`
pub(super) async fn asyncapi_document(documents: Data<Documents>, request: HttpRequest) -> HttpResponse {
    let document = documents.asyncapi.get_or_init(|| Document::new(dialect::asyncapi().to_string()));
    document.answer(&request, ContentType::json())
}

/// `GET /api/types.d.ts`
pub(super) async fn types(documents: Data<Documents>, request: HttpRequest) -> HttpResponse {
    documents.types.get_or_init(|| Document::new(dialect::types())).answer(&request, ContentType::plaintext())
}
