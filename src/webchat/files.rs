//! Files of the pages, each compressed at its first request.
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{LazyLock, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::model::digest;

/// A file of the pages.
pub(super) struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    compressed: OnceLock<Vec<u8>>,
}

macro_rules! files {
    ($($kind:literal: $($name:literal)+;)+) => {
        /// All files, by the names with which they import each other.
        static FILES: LazyLock<Vec<File>> = LazyLock::new(|| vec![$($(
            File { name: $name, kind: $kind, text: include_str!(concat!("page/", $name)), compressed: OnceLock::new() },
        )+)+]);
    };
}

files! {
    "text/javascript; charset=utf-8":
        "app.js" "chat.js" "demo.js" "dialects.js" "dialogs.js" "door.js" "http.js" "parlance.js" "side.js" "theme.js" "thread.js" "ui.js" "widget-view.js"
        "vendor/preact.js" "vendor/socket.io.js";
    "text/css; charset=utf-8": "chat.css" "demo.css" "widget.css";
    "image/svg+xml": "icon.svg";
    "text/plain; charset=utf-8": "vendor/LICENSES.txt";
}

/// Digest of all files, a part of the address of each: browsers keep a file for ever, and another release has other
/// addresses.
pub(super) static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    for byte in digest(FILES.iter().flat_map(|file| [file.name, file.text])).iter().take(8) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
});

/// Returns the file of that name.
pub(super) fn find(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

impl File {
    /// Value of `Content-Type`.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Text of the file, uncompressed.
    pub(super) fn text(&self) -> &'static str {
        self.text
    }

    /// Returns the gzip form if it exists already.
    pub(super) fn compressed(&self) -> Option<&[u8]> {
        self.compressed.get().map(Vec::as_slice)
    }

    /// Returns the gzip form; making it takes a few milliseconds, once.
    pub(super) fn compress(&self) -> io::Result<&[u8]> {
        if self.compressed.get().is_none() {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(self.text.as_bytes())?;
            // Another thread may have been faster; its result is the same.
            let _ = self.compressed.set(encoder.finish()?);
        }
        Ok(self.compressed().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(names: impl Iterator<Item = &'static File>) -> usize {
        names.map(|file| file.compress().unwrap().len()).sum()
    }

    fn scripts() -> impl Iterator<Item = &'static File> {
        FILES.iter().filter(|file| file.kind.starts_with("text/javascript"))
    }

    #[test]
    fn the_page_is_small() {
        let own = size(scripts().filter(|file| !file.name.starts_with("vendor/")));
        let all = size(scripts());
        assert!(own <= 60 * 1024, "the page's own script has {own} bytes, compressed");
        assert!(all <= 150 * 1024, "with the client it has {all}");
    }

    #[test]
    fn a_file_is_imported_only_if_it_is_there() {
        for file in scripts().filter(|file| !file.name.starts_with("vendor/")) {
            for (_, rest) in file.text.match_indices(" from './").map(|(at, found)| file.text.split_at(at + found.len())) {
                let name = rest.split('\'').next().unwrap();
                assert!(find(name).is_some(), "{}: {name}", file.name);
            }
        }
    }

    #[test]
    fn nothing_is_taken_for_markup_and_nothing_is_asked_of_others() {
        for file in scripts().filter(|file| !file.name.starts_with("vendor/")) {
            for word in
                ["innerHTML", "insertAdjacentHTML", "dangerously", "document.write", "eval(", "new Function", "postMessage"]
            {
                assert!(!file.text.contains(word), "{}: {word}", file.name);
            }
            assert!(!file.text.contains("https://"), "{}", file.name);
        }
    }
}
