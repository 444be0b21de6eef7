//! Misspelt names of settings.
use super::settings::Config;

/// Variables of the command line, which are not settings of the server.
const OTHERS: [&str; 2] = ["PARLANCE_URL", "PARLANCE_KEY"];
/// A prefix that users put before setting names by mistake.
const PREFIX: &str = "PARLANCE_";

/// A name that resembles a setting's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typo {
    /// The name as found.
    pub name: String,
    /// Its source: `environment` or `.env`.
    pub source: &'static str,
    /// The setting that was probably meant.
    pub meant: &'static str,
}

/// Finds the `names` that resemble a setting's without being one, in order. Settings that are already set are not
/// suggested.
pub fn typos<'a>(names: impl IntoIterator<Item = (&'a str, &'static str)>) -> Vec<Typo> {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    let is_set = |setting: &str| names.iter().any(|(name, _)| *name == setting);
    let found = names.iter().filter_map(|(name, source)| {
        let meant = meant_by(name).filter(|meant| !is_set(meant))?;
        Some(Typo { name: (*name).to_owned(), source, meant })
    });
    found.collect()
}

/// Returns the setting closest to a name, if it is close and the name is not a setting itself.
fn meant_by(name: &str) -> Option<&'static str> {
    if Config::NAMES.contains(&name) || OTHERS.contains(&name) {
        return None;
    }
    let plain = name.to_ascii_uppercase().replace('-', "_");
    let plain = plain.strip_prefix(PREFIX).unwrap_or(&plain);
    let near = Config::NAMES.iter().map(|setting| (strsim::damerau_levenshtein(plain, setting), *setting));
    let (distance, setting) = near.min_by_key(|(distance, _)| *distance)?;
    // Many short names are one letter apart: `HOME` is not a misspelt `HOST`, and `POST` may belong to anything.
    let allowed = if distance == 0 { 0 } else { (setting.len() / 4).saturating_sub(1).min(3) };
    (distance <= allowed).then_some(setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_reported_and_what_is_anybodys_is_not() {
        for (name, meant) in [
            ("DATABSE_URL", Some("DATABASE_URL")),
            ("JWT_SECERT", Some("JWT_SECRET")),
            ("PARLANCE_PORT", Some("PORT")),
            ("client-url", Some("CLIENT_URL")),
            ("RATE_LIMIT_EVENT", Some("RATE_LIMIT_EVENTS")),
            ("PRESENCE_SCOPE", None),
            ("PARLANCE_URL", None),
            ("HOME", None),
            ("HOSTNAME", None),
            ("POST", None),
            ("LS_COLORS", None),
        ] {
            assert_eq!(meant_by(name), meant, "{name}");
        }
    }

    #[test]
    fn what_is_set_is_not_meant_by_another() {
        let found = typos([("JWT_SECRT", ".env"), ("DATA_DIRS", "environment"), ("DATA_DIR", ".env")]);
        assert_eq!(found, [Typo { name: "JWT_SECRT".to_owned(), source: ".env", meant: "JWT_SECRET" }]);
    }
}
