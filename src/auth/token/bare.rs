//! The text of a token.

/// Longest token accepted, in bytes. Browsers and proxies cut headers at 8–16 KB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Strips what front ends put around a token: blanks, quotes, the scheme `Bearer`.
pub(crate) fn bare_token(text: &str) -> &str {
    let mut bare = text.trim();
    loop {
        let unquoted = bare.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let credentials = bare.get(.."bearer ".len()).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        let inner = unquoted.or_else(|| bare.get(credentials?.len()..));
        match inner {
            Some(inner) => bare = inner.trim(),
            None => return bare,
        }
    }
}
