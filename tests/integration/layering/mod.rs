//! The structure of the source tree: imports, circles, the size of files and structs, the wording of comments.
mod circles;
mod imports;
mod methods;
mod paths;
mod sizes;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// One file of `src`.
struct Source {
    /// Path below `src`.
    file: String,
    text: String,
}

/// Reads all files of `src`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let paths = rust_files(&root);
    assert!(paths.len() > 10, "the sources stand in {}", root.display());
    let below = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
    paths.iter().map(|path| Source { file: below(path), text: fs::read_to_string(path).unwrap() }).collect()
}

/// Returns all Rust files below `folder`.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Fails with the complaints, one a line.
pub fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
