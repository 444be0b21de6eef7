//! Types of files that may be uploaded.
use std::fmt;
use std::str::FromStr;

use super::kind::{items, join};

/// All known types, by file extension.
pub const ALL_UPLOAD_TYPES: [&str; 17] =
    ["jpeg", "jpg", "png", "gif", "pdf", "doc", "docx", "mp4", "mp3", "webm", "ogg", "m4a", "webp", "heic", "mov", "txt", "zip"];

/// Number of types accepted by default: the first ones.
const DEFAULT: usize = 9;

/// Types of files that may be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadTypes(Vec<&'static str>);

impl UploadTypes {
    /// Returns whether files with this extension, in lower case, may be uploaded.
    pub fn has(&self, extension: &str) -> bool {
        self.0.contains(&extension)
    }
}

impl Default for UploadTypes {
    fn default() -> Self {
        Self(ALL_UPLOAD_TYPES.iter().take(DEFAULT).copied().collect())
    }
}

impl FromStr for UploadTypes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = |item: &str| {
            let found = ALL_UPLOAD_TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(item));
            found.ok_or_else(|| format!("{item:?} is unknown; known are {}", ALL_UPLOAD_TYPES.join(", ")))
        };
        items(text).map(known).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for UploadTypes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&join(&self.0))
    }
}
