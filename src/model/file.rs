//! Uploaded files as messages refer to them.
use schemars::JsonSchema;
use serde::Serialize;

/// A file that was uploaded: exactly what `POST /api/upload` answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// `/uploads/<unguessable name>.<extension>`.
    pub url: String,
    /// The name it had at its owner's.
    pub filename: String,
    /// Bytes.
    pub size: i64,
    /// By content, never as the client said.
    pub mimetype: String,
    /// `image`, `video`, `audio` or `file`.
    #[schemars(with = "MessageClass")]
    pub message_type: String,
}

/// What kind of message a file makes, by its MIME type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum MessageClass {
    /// `image/*`
    Image,
    /// `video/*`
    Video,
    /// `audio/*`
    Audio,
    /// All else.
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
