//! Uploaded files as messages refer to them.
use std::borrow::Cow;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// An uploaded file, exactly as `POST /api/upload` answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// `/uploads/<unguessable name>.<extension>`; clients see it after `PUBLIC_URL`, if that is set.
    #[serde(serialize_with = "shown")]
    pub url: String,
    /// File name on the uploader's machine.
    pub filename: String,
    /// Size in bytes.
    pub size: i64,
    /// Type found by content; the client's claim is ignored.
    pub mimetype: String,
    /// `image`, `video`, `audio` or `file`.
    #[schemars(with = "MessageClass")]
    pub message_type: String,
}

/// Beginning of the addresses of uploads.
const UPLOADS: &str = "/uploads/";

/// `PUBLIC_URL` of this process, set once at the start, so that no value on a message's way has to carry it.
static PUBLIC_URL: OnceLock<String> = OnceLock::new();

/// Sets the address below which files are shown. Only the first call counts.
pub fn show_files_below(public_url: &str) {
    if !public_url.is_empty() {
        let _ = PUBLIC_URL.set(public_url.to_owned());
    }
}

impl File {
    /// Returns the address for clients.
    pub fn shown_url(&self) -> Cow<'_, str> {
        match PUBLIC_URL.get() {
            Some(base) => Cow::Owned(format!("{base}{}", self.url)),
            None => Cow::Borrowed(&self.url),
        }
    }
}

fn shown<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match PUBLIC_URL.get() {
        Some(base) => serializer.collect_str(&format_args!("{base}{url}")),
        None => serializer.serialize_str(url),
    }
}

/// Returns the stored address of an upload, given its address for clients below any server.
pub fn upload_path(url: &str) -> &str {
    match url.find(UPLOADS) {
        Some(start) if url.contains("://") => url.get(start..).unwrap_or(url),
        _ => url,
    }
}

/// Class of a message that carries a file, by the file's MIME type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum MessageClass {
    /// `image/*`
    Image,
    /// `video/*`
    Video,
    /// `audio/*`
    Audio,
    /// Everything else.
    File,
}

impl MessageClass {
    /// The class of a MIME type.
    pub fn of_mimetype(mimetype: &str) -> Self {
        match mimetype.split('/').next() {
            Some("image") => Self::Image,
            Some("video") => Self::Video,
            Some("audio") => Self::Audio,
            _ => Self::File,
        }
    }

    /// `image`, `video`, `audio` or `file`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::File => "file",
        }
    }
}
