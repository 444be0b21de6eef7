//! Types of files that may be uploaded, recognised by name and first bytes; the client's claim is ignored.

/// Number of bytes from the start of a file that identify its type.
pub const HEAD_BYTES: usize = 8_192;

/// An accepted file type.
#[derive(Debug, Clone, Copy)]
pub struct FileType {
    /// File name extension, in lower case.
    pub extension: &'static str,
    /// MIME type sent to browsers.
    pub mimetype: &'static str,
    fits: fn(&[u8]) -> bool,
}

const JPEG: &str = "image/jpeg";

/// All accepted types.
const TYPES: [FileType; 9] = [
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
];

impl FileType {
    /// Returns the type of a file with this name.
    pub fn of_name(filename: &str) -> Option<Self> {
        let (_, extension) = filename.rsplit_once('.')?;
        Self::of_extension(&extension.to_ascii_lowercase())
    }

    /// Returns the type with this extension, in lower case.
    pub fn of_extension(extension: &str) -> Option<Self> {
        TYPES.into_iter().find(|known| known.extension == extension)
    }

    /// Returns whether a file that starts with `head` can be of this type. `head` is its first [`HEAD_BYTES`], or all
    /// of it.
    pub fn fits(&self, head: &[u8]) -> bool {
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_content_has_an_answer(head in proptest::collection::vec(any::<u8>(), 0..64), which in 0..TYPES.len()) {
            let _ = TYPES[which].fits(&head);
        }
    }
}
