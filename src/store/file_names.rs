//! References from messages and pictures to uploaded files.
//!
//! References are written in the transaction of the message or picture that has them. A file that loses one is noted in
//! the same transaction (`unnamed_files`) and examined later: if it has none left, the upload is deleted, then its
//! file, then the note.
use crate::model::{ConversationId, Message, UserId};

/// Start of every upload's address.
const UPLOADS: &str = "/uploads/";
/// Number of characters of a stored file's name before the extension.
const STEM: usize = 32;

/// A reference: the namer, and the address.
pub(super) type FileName = (String, String);

/// Returns the namer of a user's picture.
pub(super) fn picture_of_user(user: &UserId) -> String {
    format!("user:{user}")
}

/// Returns the namer of a group's picture.
pub(super) fn picture_of_conversation(conversation: ConversationId) -> String {
    format!("conversation:{conversation}")
}

/// Returns whether a message refers to an upload.
pub(super) fn has_names(message: &Message) -> bool {
    message.file.is_some() || !message.attachments.is_empty() || message.content.contains(UPLOADS)
}

/// Returns a message's references to uploads: its file, its attachments, and addresses in its text.
pub(super) fn names_of(message: &Message) -> Vec<FileName> {
    if !has_names(message) {
        return Vec::new();
    }
    let files = message.file.iter().chain(&message.attachments).map(|file| file.url.as_str());
    let id = message.id.to_string();
    files.chain(uploads_in(&message.content)).map(|url| (id.clone(), url.to_owned())).collect()
}

/// Returns the addresses of uploads in a text.
pub(super) fn uploads_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(UPLOADS).filter_map(move |(start, _)| {
        let rest = text.get(start..)?;
        let name = rest.get(UPLOADS.len()..)?;
        let is_hex = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        let stem = name.as_bytes().iter().take_while(|byte| is_hex(byte)).count();
        let extension = name.get(stem..)?.strip_prefix('.')?;
        let length = extension.bytes().take_while(u8::is_ascii_alphanumeric).count();
        (stem == STEM && length > 0).then(|| rest.get(..UPLOADS.len() + STEM + 1 + length))?
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_found_wherever_they_stand() {
        let [one, two, three] = ["a", "b", "c"].map(|letter| letter.repeat(32));
        let text = format!(
            r#"{{"url":"/uploads/{one}.png"}} see http://x/uploads/{two}.pdf. And (/uploads/{three}.jpg) ä/uploads/ /uploads/a.png
            /uploads/{one}{one}.png /uploads/{one}. /uploads/{one}/../x.png"#
        );
        let found: Vec<&str> = super::uploads_in(&text).collect();
        assert_eq!(found, [format!("/uploads/{one}.png"), format!("/uploads/{two}.pdf"), format!("/uploads/{three}.jpg")]);
    }
}
