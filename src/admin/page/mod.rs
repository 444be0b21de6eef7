//! The administrators' page: three small files in the binary. It holds no data; everything it shows is fetched with the
//! reader's own login or key.
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

/// Scripts, styles and answers come only from this server, inline scripts do not run, and no page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /admin`
pub(super) async fn index() -> HttpResponse {
    file("text/html; charset=utf-8", include_str!("index.html"))
}

/// `GET /admin/page.css`
pub(super) async fn style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("page.css"))
}

/// `GET /admin/page.js`
pub(super) async fn script() -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("page.js"))
}

fn file(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        // Another release may replace it.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text)
}
