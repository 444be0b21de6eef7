//! Uploaded files as messages refer to them.
use schemars::JsonSchema;
use serde::Serialize;

/// An uploaded file, exactly as `POST /api/upload` answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// `/uploads/<unguessable name>.<extension>`.
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
