//! Settings that name or need something: dialects, secrets, certificates, folders of files, a model.
use super::finding::Finding;
use crate::auth::{ADVISED_SECRET_BYTES, TokenKeys, Trust, find_kept_secret};
use crate::config::{AiProvider, Config, KEY_CHARS_MIN, ModelAddress};
use crate::dialect::DialectSet;
use crate::{api, app};

pub(super) fn dialects(config: &Config) -> Option<Finding> {
    if let Err(error) = app::load_dialects(config) {
        let advice = "correct the file; `parlance dialect check` finds all that is wrong with it";
        return Some(Finding::error("dialects", error.to_string(), advice));
    }
    match DialectSet::enabled(&config.dialects) {
        Err(error) => Some(Finding::error("dialects", error.to_string(), "set DIALECTS to existing names, or to all")),
        Ok(enabled) => (!config.dialect_files.is_empty()).then(|| Finding::ok("dialects", enabled.names())),
    }
}

pub(super) fn secret(config: &Config) -> Finding {
    let set = config.named_jwt_secrets();
    let short = |bytes: usize| bytes < ADVISED_SECRET_BYTES;
    let longer = "set one of 32 bytes or more, such as `openssl rand -base64 48` makes; tokens of the old one end with it";
    if let Some((name, secret)) = set.iter().find(|(_, secret)| short(secret.expose().len())) {
        return Finding::warning("secret", format!("{name} has {} bytes and can be guessed", secret.expose().len()), longer);
    }
    if let Some((first, secret)) = set.first() {
        return Finding::ok(
            "secret",
            format!("{first} signs tokens ({} bytes), {} verify them", secret.expose().len(), set.len()),
        );
    }
    match find_kept_secret(config) {
        Ok(None) => Finding::ok("secret", "none yet: the first start makes one in DATA_DIR"),
        Ok(Some(kept)) if kept.mode & 0o077 != 0 => {
            let path = kept.path.display();
            Finding::warning("secret", format!("others may read {path} (mode {:o})", kept.mode), format!("`chmod 600 {path}`"))
        }
        Ok(Some(kept)) if short(kept.secret.expose().len()) => Finding::warning(
            "secret",
            format!("{} holds {} bytes and can be guessed", kept.path.display(), kept.secret.expose().len()),
            longer,
        ),
        Ok(Some(kept)) => {
            let bytes = kept.secret.expose().len();
            Finding::ok("secret", format!("{} ({bytes} bytes, mode {:o})", kept.path.display(), kept.mode))
        }
        Err(error) => Finding::error("secret", error.to_string(), "give the file to the user that serves"),
    }
}

pub(super) fn tokens(config: &Config) -> Option<Finding> {
    let found = |error: &dyn std::fmt::Display| {
        Finding::error("tokens", error.to_string(), "set what it says, or remove the setting; docs/tokens.md has each provider's")
    };
    let trust = match Trust::of(config) {
        Ok(trust) => trust,
        Err(error) => return Some(found(&error)),
    };
    if let Err(error) = TokenKeys::new::<&str>(&[], false, config.token_ttl).trusting(&trust) {
        return Some(found(&error));
    }
    let (files, addresses, issuers) = (trust.files.len(), trust.key_addresses.len(), trust.oidc_issuers.len());
    let text = format!("keys come from {files} files, {addresses} addresses and {issuers} issuers; those are not asked here");
    (files + addresses + issuers > 0).then(|| Finding::ok("tokens", text))
}

pub(super) fn keys(config: &Config) -> Option<Finding> {
    if let Some(name) = config.unknown_key() {
        let found = format!("API_KEY_SCOPES: no key of API_KEYS is called {name}");
        return Some(Finding::error("keys", found, "name the key in API_KEYS, as NAME:KEY, or remove its scopes"));
    }
    let short = config.short_keys();
    let first = short.first()?;
    let found = format!("API_KEYS: {first} has fewer than {KEY_CHARS_MIN} characters and can be tried out");
    let advice = "set one such as `openssl rand -base64 24` makes";
    Some(match config.host.is_loopback() {
        true => Finding::warning("keys", found, advice),
        false => Finding::error("keys", found, advice),
    })
}

pub(super) fn webhooks(config: &Config) -> Option<Finding> {
    match app::check_webhooks(config) {
        Ok(0) => None,
        Ok(count) => Some(Finding::ok("webhooks", format!("{count} are told of events; they are not asked here"))),
        Err(error) => Some(Finding::error("webhooks", error.to_string(), "docs/your-code.md has an example")),
    }
}

pub(super) fn exposures(config: &Config) -> Vec<Finding> {
    config.exposures().iter().map(|exposure| Finding::warning("exposure", exposure.found, exposure.advice)).collect()
}

pub(super) fn certificate(config: &Config) -> Option<Finding> {
    let place = config.tls_cert.as_ref().or(config.tls_key.as_ref())?.display();
    Some(match app::tls(config) {
        Ok(_) => Finding::ok("certificate", format!("{place} and its key belong together")),
        Err(error) => Finding::error(
            "certificate",
            error.to_string(),
            "set TLS_CERT to the certificate with its chain and TLS_KEY to its key, both in PEM, readable for the user that serves",
        ),
    })
}

pub(super) fn client_files(config: &Config) -> Option<Finding> {
    let folder = config.client_files.as_ref()?;
    let place = folder.display();
    Some(match api::check_client_files(folder) {
        Ok(()) => Finding::ok("client files", format!("{place} has the browser's client")),
        Err(error) => Finding::error(
            "client files",
            format!("no socket.io.js in {place} ({error})"),
            "set CLIENT_FILES to `dist` of the npm package socket.io-client, or to nothing",
        ),
    })
}

pub(super) fn admin_ui(config: &Config) -> Option<Finding> {
    let what = "admin ui";
    let login = match app::admin_login(config) {
        Ok(login) => login,
        Err(error) => return Some(Finding::error(what, error.to_string(), "make a new one with `parlance admin-password`")),
    };
    let user = &config.admin_ui_user;
    Some(match (login, &config.admin_ui_dir) {
        (None, None) => return None,
        (_, Some(folder)) if let Err(error) = api::check_admin_ui(folder) => Finding::error(
            what,
            format!("no index.html in {} ({error})", folder.display()),
            "set ADMIN_UI_DIR to `ui/dist` of the npm package @socket.io/admin-ui, or to nothing",
        ),
        (None, Some(_)) => Finding::warning(
            what,
            "its files are served, but nobody can log in",
            "set ADMIN_UI_PASSWORD to what `parlance admin-password` prints, or ADMIN_UI_DIR to nothing",
        ),
        (Some(_), None) => Finding::ok(what, format!("{user} can log in; the page comes from elsewhere")),
        (Some(_), Some(_)) => Finding::ok(what, format!("{user} can log in, at /admin/ui/")),
    })
}

pub(super) fn your_code(config: &Config) -> Vec<Finding> {
    let of = |(setting, outcome): (&str, Result<bool, String>)| match outcome {
        Ok(false) => None,
        Ok(true) => Some(Finding::ok("your code", format!("{setting} is set; it is not asked here"))),
        Err(reason) => Some(Finding::error("your code", reason, "docs/your-code.md says what is right")),
    };
    app::check_your_code(config).into_iter().filter_map(of).collect()
}

pub(super) fn model(config: &Config) -> Option<Finding> {
    let provider = config.ai_provider;
    if provider == AiProvider::Echo {
        return None;
    }
    let has_way = config.ai_api_key.is_some() || config.ai_url != ModelAddress::default();
    Some(match has_way {
        true => Finding::ok("model", format!("{provider} answers in AI conversations; it is not asked here")),
        false => Finding::warning(
            "model",
            format!("AI_PROVIDER={provider} has no key"),
            "set AI_API_KEY, or AI_URL to a server that needs none",
        ),
    })
}
