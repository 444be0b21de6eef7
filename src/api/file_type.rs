//! Types of files that may be uploaded, recognised by name and first bytes; the client's claim is ignored.

/// Number of bytes from the start of a file that identify its type.
pub(super) const HEAD_BYTES: usize = 8_192;

/// An accepted file type.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileType {
    /// File name extension, in lower case.
    pub extension: &'static str,
    /// MIME type sent to browsers.
    pub mimetype: &'static str,
    fits: fn(&[u8]) -> bool,
}

const JPEG: &str = "image/jpeg";

/// All known types, those of [`ALL_UPLOAD_TYPES`](crate::config::ALL_UPLOAD_TYPES). A setting selects the accepted ones.
const TYPES: [FileType; 17] = [
    FileType { extension: "jpeg", mimetype: JPEG, fits: infer::image::is_jpeg },
    FileType { extension: "jpg", mimetype: JPEG, fits: infer::image::is_jpeg },
    FileType { extension: "png", mimetype: "image/png", fits: infer::image::is_png },
    FileType { extension: "gif", mimetype: "image/gif", fits: infer::image::is_gif },
    FileType { extension: "pdf", mimetype: "application/pdf", fits: infer::archive::is_pdf },
    FileType { extension: "doc", mimetype: "application/msword", fits: is_ole },
    FileType {
        extension: "docx",
        mimetype: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        fits: infer::archive::is_zip,
    },
    FileType { extension: "mp4", mimetype: "video/mp4", fits: is_mp4 },
    FileType { extension: "mp3", mimetype: "audio/mpeg", fits: is_mp3 },
    FileType { extension: "webm", mimetype: "video/webm", fits: is_webm },
    FileType { extension: "ogg", mimetype: "audio/ogg", fits: infer::audio::is_ogg },
    FileType { extension: "m4a", mimetype: "audio/mp4", fits: is_mp4 },
    FileType { extension: "webp", mimetype: "image/webp", fits: infer::image::is_webp },
    FileType { extension: "heic", mimetype: "image/heic", fits: infer::image::is_heif },
    FileType { extension: "mov", mimetype: "video/quicktime", fits: is_mov },
    FileType { extension: "txt", mimetype: "text/plain; charset=utf-8", fits: is_text },
    FileType { extension: "zip", mimetype: "application/zip", fits: infer::archive::is_zip },
];

impl FileType {
    /// Returns the type of a file with this name.
    pub(super) fn of_name(filename: &str) -> Option<Self> {
        let (_, extension) = filename.rsplit_once('.')?;
        Self::of_extension(&extension.to_ascii_lowercase())
    }

    /// Returns the type with this extension, in lower case.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        TYPES.into_iter().find(|known| known.extension == extension)
    }

    /// Returns whether a file that starts with `head` can be of this type. `head` is its first [`HEAD_BYTES`], or all
    /// of it.
    pub(super) fn fits(&self, head: &[u8]) -> bool {
        (self.fits)(head)
    }
}

/// Returns whether it is an OLE compound file, as Word wrote until 2003 (source: [MS-CFB] 2.2).
fn is_ole(head: &[u8]) -> bool {
    head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1])
}

/// Returns whether it is an MP4: ISO 14496-12 files begin with the box `ftyp`. There are countless brands (`XAVC` of
/// cameras, …), of which only QuickTime's is not MP4.
fn is_mp4(head: &[u8]) -> bool {
    head.get(4..8) == Some(b"ftyp") && head.get(8..12).is_some_and(|brand| brand != b"qt  ")
}

/// Returns whether it is EBML with the document type `webm` (source: RFC 8794, 11.2.4), within the first bytes.
fn is_webm(head: &[u8]) -> bool {
    let begins = head.get(..64).unwrap_or(head);
    begins.starts_with(b"\x1A\x45\xDF\xA3") && begins.windows(7).any(|bytes| bytes == b"\x42\x82\x84webm")
}

/// Returns whether it is QuickTime: by its brand, or, in older files, by its first box (source: QuickTime File Format,
/// "Overview").
fn is_mov(head: &[u8]) -> bool {
    head.get(4..12) == Some(b"ftypqt  ") || matches!(head.get(4..8), Some(b"moov" | b"mdat" | b"wide" | b"free" | b"skip"))
}

/// Returns whether it is UTF-8 without control characters that steer a terminal; the head's end may cut a character.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && head.len() >= HEAD_BYTES => {
            head.get(..error.valid_up_to()).and_then(|head| std::str::from_utf8(head).ok()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|letter| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{c}'))
}

/// Returns whether it is an MP3: an ID3 tag, or an MPEG frame of layer III (source: ISO 11172-3, 2.4.2.3) of any
/// version and protection.
fn is_mp3(head: &[u8]) -> bool {
    infer::audio::is_mp3(head)
        || matches!(head, [0xFF, second, ..] if second & 0xE0 == 0xE0 && second & 0x06 == 0x02 && second & 0x18 != 0x08)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_type_is_known_by_name_and_content() {
        let png = b"\x89PNG\r\n\x1a\n0000";
        let zip = b"PK\x03\x04aaaa";
        let ole = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1aaaa";
        for (name, head, mimetype) in [
            ("a.png", &png[..], Some("image/png")),
            ("A.B.PNG", &png[..], Some("image/png")),
            ("a.jpg", &png[..], None),
            ("a.jpg", b"\xFF\xD8\xFF\xE0", Some("image/jpeg")),
            ("a.jpeg", b"\xFF\xD8\xFF\xE1", Some("image/jpeg")),
            ("a.gif", b"GIF89a", Some("image/gif")),
            ("a.pdf", b"%PDF-1.7", Some("application/pdf")),
            ("a.docx", zip, Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document")),
            ("a.doc", ole, Some("application/msword")),
            ("a.doc", zip, None),
            ("a.mp4", b"\0\0\0\x20ftypisom", Some("video/mp4")),
            ("a.mp4", b"\0\0\0\x20ftypiso8", Some("video/mp4")),
            ("a.mp4", b"\0\0\0\x20ftypXAVC", Some("video/mp4")),
            ("a.mp4", b"\0\0\0\x20ftypqt  ", None),
            ("a.mp4", b"\0\0\0\x20moov", None),
            ("a.mp3", b"ID3\x04\0", Some("audio/mpeg")),
            ("a.mp3", b"\xFF\xFA\x90", Some("audio/mpeg")),
            ("a.mp3", b"\xFF\xF1\x50", None),
            ("a.webm", b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x1F\x42\x82\x84webm", Some("video/webm")),
            ("a.ogg", b"OggS\0\x02", Some("audio/ogg")),
            ("a.m4a", b"\0\0\0\x20ftypM4A ", Some("audio/mp4")),
            ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", Some("image/webp")),
            ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Some("image/heic")),
            ("a.mov", b"\0\0\0\x14ftypqt  ", Some("video/quicktime")),
            ("a.mov", b"\0\0\0\x08wide\0\0\0\0", Some("video/quicktime")),
            ("a.mov", b"\0\0\0\x20ftypisom", None),
            ("a.txt", "Grüße\r\n\tan alle".as_bytes(), Some("text/plain; charset=utf-8")),
            ("a.txt", b"\xff\xfe\0a", None),
            ("a.txt", b"a\x1b[2Jb", None),
            ("a.txt", b"cut \xc3", None),
            ("a.txt", b"", None),
            ("a.zip", zip, Some("application/zip")),
            ("a.zip", b"MZ\x90\0", None),
            ("a.webm", png, None),
            ("a.webp", png, None),
            ("a.heic", png, None),
            ("a.png", b"", None),
            ("a.html", b"<html>", None),
            ("a.png.html", png, None),
            ("png", png, None),
            ("a.", png, None),
            ("a.svg", b"<svg", None),
        ] {
            let found = FileType::of_name(name).filter(|known| known.fits(head)).map(|known| known.mimetype);
            assert_eq!(found, mimetype, "{name}");
        }
    }

    #[test]
    fn a_text_may_be_cut_within_a_character() {
        let cut = ["a".repeat(HEAD_BYTES - 1).as_bytes(), &"ä".as_bytes()[..1]].concat();
        assert!(is_text(&cut) && !is_text(&cut[1..]));
    }

    #[test]
    fn every_type_of_the_setting_is_known() {
        let known: Vec<_> = TYPES.iter().map(|known| known.extension).collect();
        assert_eq!(known, crate::config::ALL_UPLOAD_TYPES);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_content_has_an_answer(head in proptest::collection::vec(any::<u8>(), 0..64), which in 0..TYPES.len()) {
            let _ = TYPES[which].fits(&head);
        }
    }
}
