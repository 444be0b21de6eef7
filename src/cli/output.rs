//! Output of commands, and remarks beside it.
use std::io::{self, Write as _};

use super::failure::Failure;

/// Writes a command's output. A reader that has seen enough (`parlance config | head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure(format!("cannot write the output: {error}"))),
        _ => Ok(()),
    }
}

/// Says something beside a command's output, in one piece: other programs may write to the same terminal.
pub(super) fn remark(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
