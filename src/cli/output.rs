//! Output and remarks of commands.
use std::io::{self, Write as _};

use super::error::CliError;

/// Writes a command's output. If the reader stops early (`parlance config | head`), that is not a failure.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError(format!("cannot write the output: {error}"))),
        _ => Ok(()),
    }
}

/// Prints a remark on standard error, in one piece, since other programs may write to the same terminal.
pub(super) fn remark(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
