//! `POST /api/upload`
use std::path::Path;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, StreamExt as _};
use serde_json::json;
use tokio::time::timeout;

use super::file_type::{FileType, HEAD_BYTES};
use super::upload_dir::NewFile;
use crate::chat::{ChatError, HookVerdict};
use crate::config::UploadTypes;
use crate::model::{File, MessageClass, Timestamp};
use crate::store::Write;
use crate::web::{AuthenticatedUser, HttpError, WebState};

/// Maximum number of bytes beside the file: other parts, and boundaries.
const REST_MAX: u64 = 64 * 1024;
/// Time without a byte after which the upload is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest file name, in characters; the limit of common file systems.
const NAME_MAX: usize = 255;

/// `POST /api/upload` (multipart `file`). Streamed to disk; a failed upload leaves nothing behind.
pub(super) async fn upload(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, HttpError> {
    if user.id().is_guest() {
        return Err(HttpError::forbidden("Guests cannot upload files"));
    }
    let limit = match state.settings.uploads.max_bytes {
        0 => u64::MAX,
        limit => limit,
    };
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > limit.saturating_add(REST_MAX)) {
        return Err(file_too_large());
    }
    let content_type = header(CONTENT_TYPE).unwrap_or_default();
    if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        return Err(no_file());
    }
    let parts = Multipart::new(request.headers(), payload);
    let (dir, types) = (&state.settings.uploads.dir, &state.settings.uploads.types);
    let Received { file: mut new_file, filename, file_type, size } = receive(dir, parts, types, limit).await?;
    new_file.finish().await.map_err(|error| disk(&error))?;
    let file = File {
        url: format!("/uploads/{}", new_file.name()),
        filename,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        mimetype: file_type.mimetype.to_owned(),
        message_type: MessageClass::of_mimetype(file_type.mimetype).as_str().to_owned(),
    };
    if let Some(ask) = &state.ask_upload {
        match ask(user.account.profile.clone(), file.clone()).await {
            HookVerdict::Allowed { .. } => {}
            HookVerdict::Refused(refusal) => return Err(ChatError::HookRefused(refusal).into()),
            HookVerdict::Failed => return Err(ChatError::HookFailed.into()),
        }
    }
    let (owner, uploaded_at) = (user.id().clone(), Timestamp::now());
    state.store.write(Write::Upload { file: file.clone(), owner, uploaded_at }).await?;
    new_file.keep();
    Ok(HttpResponse::Ok().json(json!({"success": true, "file": file})))
}

/// A complete file.
struct Received {
    file: NewFile,
    filename: String,
    file_type: FileType,
    size: u64,
}

/// Reads all parts to the end, and keeps the first file named `file`.
async fn receive(dir: &Path, mut parts: Multipart, types: &UploadTypes, limit: u64) -> Result<Received, HttpError> {
    let mut received = None;
    let mut rest = 0;
    while let Some(mut part) = next(&mut parts).await? {
        match file_name(&part) {
            Some(filename) if received.is_none() => {
                let file_type = FileType::of_name(&filename).filter(|known| types.has(known.extension)).ok_or_else(wrong_type)?;
                let mut file = NewFile::create(dir, file_type.extension).await.map_err(|error| disk(&error))?;
                let size = store(&mut part, &mut file, file_type, limit).await?;
                received = Some(Received { file, filename, file_type, size });
            }
            _ => {
                while let Some(chunk) = next(&mut part).await? {
                    rest += len(&chunk);
                    if rest > REST_MAX {
                        return Err(file_too_large());
                    }
                }
            }
        }
    }
    received.ok_or_else(no_file)
}

/// Streams one part to disk; returns its size in bytes.
async fn store(part: &mut Field, file: &mut NewFile, file_type: FileType, limit: u64) -> Result<u64, HttpError> {
    let mut head = Vec::new();
    let mut is_checked = false;
    let mut size = 0;
    while let Some(chunk) = next(part).await? {
        size += len(&chunk);
        if size > limit {
            return Err(file_too_large());
        }
        if !is_checked {
            head.extend_from_slice(chunk.get(..HEAD_BYTES.saturating_sub(head.len())).unwrap_or(&chunk));
            if head.len() >= HEAD_BYTES {
                is_checked = true;
                check(file_type, &head)?;
            }
        }
        file.write(&chunk).await.map_err(|error| disk(&error))?;
    }
    if !is_checked {
        check(file_type, &head)?;
    }
    Ok(size)
}

fn check(file_type: FileType, head: &[u8]) -> Result<(), HttpError> {
    if file_type.fits(head) { Ok(()) } else { Err(wrong_type()) }
}

/// Returns the client's name for the file, without folders and invisible characters.
fn file_name(part: &Field) -> Option<String> {
    let disposition = part.content_disposition()?;
    if disposition.get_name() != Some("file") {
        return None;
    }
    // Browsers escape exactly these three characters, in this way (source: HTML standard, multipart/form-data).
    let name = disposition.get_filename()?.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n");
    let base = name.rsplit(['/', '\\']).next().unwrap_or(&name);
    let shown: String = base.chars().filter(|character| !character.is_control()).collect();
    // Cut at the front, because the extension at the end gives the type.
    let excess = shown.chars().count().saturating_sub(NAME_MAX);
    let name: String = shown.chars().skip(excess).collect();
    (!name.is_empty()).then_some(name)
}

async fn next<T>(stream: &mut (impl Stream<Item = Result<T, MultipartError>> + Unpin)) -> Result<Option<T>, HttpError> {
    let broken = || HttpError::bad_request("Invalid multipart body");
    let item = timeout(SILENCE_MAX, stream.next()).await.map_err(|_| broken())?;
    item.transpose().map_err(|_| broken())
}

fn len(chunk: &[u8]) -> u64 {
    u64::try_from(chunk.len()).unwrap_or(u64::MAX)
}

fn no_file() -> HttpError {
    HttpError::bad_request("No file")
}

fn wrong_type() -> HttpError {
    HttpError::unsupported_type("Invalid file type")
}

fn file_too_large() -> HttpError {
    HttpError::too_large("File too large")
}

fn disk(error: &std::io::Error) -> HttpError {
    HttpError::store_away().because(format!("cannot store an upload: {error}"))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderValue};
    use actix_web::web::Bytes;
    use futures_util::stream;
    use rand::rngs::SmallRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    const BODY: &[u8] = b"--XX\r\nContent-Disposition: form-data; name=\"note\"\r\nContent-Length: 2\r\n\r\nhi\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.gif\"\r\n\r\nGIF89a0123456789\r\n--XX--\r\n";

    fn parts(body: &[u8], chunk: usize) -> Multipart {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=XX"));
        let chunks: Vec<_> = body.chunks(chunk).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Multipart::new(&headers, stream::iter(chunks))
    }

    #[actix_web::test]
    async fn a_body_is_read_in_chunks_of_any_size() {
        let dir = tempfile::tempdir().unwrap();
        for chunk in 1..BODY.len() {
            let received = receive(dir.path(), parts(BODY, chunk), &UploadTypes::default(), 100).await.unwrap();
            assert_eq!((received.filename.as_str(), received.size), ("a.gif", 16), "chunks of {chunk}");
        }
    }

    #[actix_web::test]
    async fn ten_thousand_mutated_bodies_have_an_answer_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut random = SmallRng::seed_from_u64(7);
        for _ in 0..10_000 {
            let mut body = BODY.to_vec();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..body.len());
                match random.random_range(0..4) {
                    0 => body[at] = random.random(),
                    1 => drop(body.remove(at)),
                    2 => body.insert(at, random.random()),
                    _ => body.truncate(at.max(4)),
                }
            }
            let chunk = random.random_range(1..=body.len());
            drop(receive(dir.path(), parts(&body, chunk), &UploadTypes::default(), 100).await);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
