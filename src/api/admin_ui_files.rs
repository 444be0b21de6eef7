//! The files of the Admin UI of Socket.IO, under `/admin/ui/` (source: `@socket.io/admin-ui`, `ui/dist`).
use std::io;
use std::path::{Path, PathBuf};

use actix_web::http::header::{CACHE_CONTROL, HeaderValue, LOCATION, X_FRAME_OPTIONS};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::static_folder::serve_file;
use crate::web::{HttpError, WebState, path_text};

/// Checks that a folder is usable.
///
/// # Errors
/// If it is missing, or has no page in it.
pub fn check_admin_ui(folder: &Path) -> io::Result<()> {
    std::fs::metadata(folder.join("index.html")).map(drop)
}

/// `GET /admin/ui`: redirects into the folder, because the page's links are relative. The redirect is relative, too, so
/// it works behind a proxy that adds a prefix.
pub(super) async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "ui/")).finish()
}

/// `GET /admin/ui/{file}`
pub(super) async fn serve(state: Data<WebState>, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let Some(folder) = &state.settings.admin_ui_dir else {
        return Err(HttpError::not_found(
            "Set ADMIN_UI_DIR to the folder ui/dist of the npm package @socket.io/admin-ui to have it served",
        ));
    };
    let name = path_text(&request, "file");
    let missing = "The folder of ADMIN_UI_DIR has no such file";
    let file = if name.is_empty() { "index.html" } else { name.as_str() };
    let path = inside(folder, file).ok_or_else(|| HttpError::not_found(missing))?;
    let mut response = serve_file(&request, path, None, missing).await?;
    let headers = response.headers_mut();
    // A file without a digest in its name may be replaced by another release.
    let cache = if has_digest(file) { "public, max-age=31536000, immutable" } else { "public, max-age=0" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    // Its buttons disconnect users: no other page may show it in a frame.
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    Ok(response)
}

/// Returns the path of a file in the folder; `None` for a name that leads outside, or is hidden.
fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0', ':']);
    name.split('/').all(is_plain).then(|| folder.join(name))
}

/// Returns whether the name contains a digest, so its content never changes: `js/app.0d7d7845.js`.
fn has_digest(name: &str) -> bool {
    let is_digest = |part: &str| part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.rsplit('/').next().is_some_and(|name| name.split('.').skip(1).any(is_digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = Path::new("/ui");
        for name in ["../secret", "js/../../secret", "/etc/passwd", "js//x", "", ".env", "js/.x", "a\\b", "a\0b", ".."] {
            assert_eq!(inside(folder, name), None, "{name}");
        }
        assert_eq!(inside(folder, "js/app.js"), Some(PathBuf::from("/ui/js/app.js")));
    }

    #[test]
    fn what_bears_a_digest_is_kept_for_ever() {
        for (name, expected) in [
            ("js/app.0d7d7845.js", true),
            ("img/logo-dark.3727fec5.svg", true),
            ("index.html", false),
            ("0d7d7845.html", false),
            ("0d7d7845.0d7d7845/index.html", false),
            ("favicon.png", false),
        ] {
            assert_eq!(has_digest(name), expected, "{name}");
        }
    }
}
