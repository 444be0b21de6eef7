//! Address of the database; the scheme of `DATABASE_URL` selects its kind.
use std::path::{Path, PathBuf};

/// libpq settings that keep a connection to a silent host from hanging for ever.
const POSTGRES_DEFAULTS: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
];

/// Address of a database.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of the embedded database.
    Sqlite(PathBuf),
    /// A Postgres server: the URL in libpq's format.
    Postgres(String),
}

impl DatabaseUrl {
    /// Parses `sqlite:///absolute/path`, `sqlite://relative-to-data-dir`, `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    /// A sentence that explains the problem, for any other text.
    pub fn parse(text: &str, data_dir: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            if path.is_empty() || path.ends_with('/') {
                return Err("it names no file".to_owned());
            }
            if path.contains(['?', '#', '\0']) {
                return Err("options after a file's name are not supported".to_owned());
            }
            // `join` keeps an absolute path as it is.
            return Ok(Self::Sqlite(data_dir.join(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(with_defaults(text)));
        }
        Err("it must begin with sqlite:// or postgres://".to_owned())
    }
}

/// Hides the password.
impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite {}", path.display()),
            Self::Postgres(_) => formatter.write_str("postgres"),
        }
    }
}

fn with_defaults(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in POSTGRES_DEFAULTS {
        if !url.contains(&format!("{name}=")) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{name}={value}"));
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_database() {
        let parse = |text| DatabaseUrl::parse(text, Path::new("/data"));
        assert_eq!(parse("sqlite:///var/chat.db"), Ok(DatabaseUrl::Sqlite("/var/chat.db".into())));
        assert_eq!(parse("sqlite://chat.db"), Ok(DatabaseUrl::Sqlite("/data/chat.db".into())));
        assert!(matches!(parse("postgres://localhost/chat"), Ok(DatabaseUrl::Postgres(_))));
        assert!(matches!(parse("postgresql://localhost/chat"), Ok(DatabaseUrl::Postgres(_))));
        for bad in ["", "chat.db", "mysql://x/y", "sqlite://", "sqlite:///", "sqlite:x", "sqlite://a?mode=ro", "Postgres//x"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_the_url_sets_is_kept() {
        let url = with_defaults("postgres://h/d?connect_timeout=60&sslmode=disable");
        assert!(url.starts_with("postgres://h/d?connect_timeout=60&sslmode=disable&keepalives_idle=10&"), "{url}");
        assert_eq!(url.matches("connect_timeout").count(), 1);
    }

    #[test]
    fn no_password_is_shown() {
        let url = DatabaseUrl::parse("postgres://u:secret@h/d", Path::new("/")).unwrap();
        assert!(!format!("{url:?}").contains("secret"));
    }
}
