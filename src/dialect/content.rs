//! How a message's files are shown where there is room for one.
use std::borrow::Cow;

use crate::model::{File, Message};

/// The file that is shown, and those that there is no room for.
pub(super) fn one_file(message: &Message) -> (Option<&File>, &[File]) {
    match (&message.file, message.attachments.as_slice()) {
        (None, [first, further @ ..]) => (Some(first), further),
        (file, further) => (file.as_ref(), further),
    }
}

/// The content and, a line each, the addresses of files that there is no room for.
pub(super) fn with_urls<'a>(content: Cow<'a, str>, files: &[File]) -> Cow<'a, str> {
    if files.is_empty() {
        return content;
    }
    let lines = Some(&*content).filter(|content| !content.is_empty()).into_iter();
    Cow::Owned(lines.chain(files.iter().map(|file| file.url.as_str())).collect::<Vec<_>>().join("\n"))
}
