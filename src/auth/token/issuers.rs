//! Sources of public keys, and the times at which each is asked. A value with a given clock; others do the asking.
//!
//! A key verifies tokens of its issuer only. Keys are read hourly, and when a token names an unknown key, but not more
//! than once in half a minute for that. If an issuer is away, its keys stay valid for a day.
use std::sync::atomic::{AtomicBool, Ordering};

use jsonwebtoken::Header;
use serde::Deserialize;

use super::claims::{Payload, TokenError, is_same_issuer};
use super::public_key::{KeySet, VerifyingKey};
use crate::config::check_key_address;
use crate::model::Timestamp;

/// Interval of reading the same keys, in milliseconds.
const READ_EVERY_MS: i64 = 60 * 60 * 1_000;
/// Interval of asking an issuer that is away, and of asking for unknown keys, in milliseconds.
const ASK_AGAIN_MS: i64 = 30 * 1_000;
/// Maximum age of keys, in milliseconds: after that the issuer may have withdrawn them.
const GOOD_FOR_MS: i64 = 24 * 60 * 60 * 1_000;
/// Maximum number of keys tried on a token that names none: each costs a signature.
const TRIES_MAX: usize = 8;

/// The kind of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A file, read at the start.
    File,
    /// The address of a set of keys.
    Keys(String),
    /// An issuer, whose discovery document contains the address of its keys.
    Issuer(String),
}

/// A source of keys.
#[derive(Debug)]
pub(super) struct Source {
    /// Its name, as configured.
    pub name: String,
    place: Place,
    /// Names of the issuer whose tokens its keys verify; empty: any issuer without a source of its own.
    pub issuers: Vec<String>,
    keys: Vec<VerifyingKey>,
    read_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
    /// Time at which it was last asked for an unknown key.
    asked_for_key_at: Option<Timestamp>,
    is_asked: bool,
    failing_since: Option<Timestamp>,
    failures: u64,
    reads: u64,
    /// Set when a token names an unknown key that this source may have.
    is_wanted: AtomicBool,
}

/// A source that must be asked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Its index.
    pub source: usize,
    /// Its name, as configured.
    pub name: String,
    /// Address of a set of keys, or, with [`Asking::issuer`], of a discovery document.
    pub address: String,
    /// The issuer that the discovery document must name.
    pub issuer: Option<String>,
}

impl Asking {
    /// Parses a discovery document (OpenID Connect Discovery 1.0 §4) and returns the address of the keys.
    ///
    /// # Errors
    /// Not a discovery document, one of another issuer, or one with an address that others can answer for.
    pub fn discover(&self, document: &str) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        let Document { issuer, jwks_uri } = serde_json::from_str(document)
            .map_err(|_| "the answer is no document of discovery: issuer and jwks_uri".to_owned())?;
        if self.issuer.as_ref().is_none_or(|wanted| !is_same_issuer(wanted, &issuer)) {
            return Err(format!("the document of discovery is of another issuer: {:?}", shortened(&issuer)));
        }
        check_key_address(&jwks_uri).map_err(|reason| format!("jwks_uri: {reason}"))
    }
}

/// Returns the part of a foreign text that a line of the log shows.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The parsed answer of a source.
#[derive(Debug)]
pub struct Answer(KeySet);

impl Answer {
    /// Parses a set of keys.
    ///
    /// # Errors
    /// The reason in one line.
    pub fn read(text: &str) -> Result<Self, String> {
        KeySet::parse(text).map(Self)
    }
}

/// News of a source that was asked.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// Its keys have changed.
    Changed {
        /// Number of valid keys.
        keys: usize,
        /// Faults of other keys.
        complaints: Vec<String>,
    },
    /// It is no longer away, and has the same keys as before.
    Back,
    /// It is away from now on, for this reason.
    Away(String),
    /// Nothing new.
    Nothing,
}

/// Figures of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerFigures {
    /// Its name, as configured.
    pub name: String,
    /// Number of valid keys.
    pub keys: usize,
    /// Seconds since they were read; `None`: never.
    pub age_seconds: Option<u64>,
    /// Number of attempts to read them.
    pub reads: u64,
    /// Number of failed ones.
    pub failures: u64,
}

impl Source {
    fn new(name: String, place: Place, issuers: Vec<String>) -> Self {
        Self {
            name,
            place,
            issuers,
            keys: Vec::new(),
            read_at: None,
            asked_at: None,
            asked_for_key_at: None,
            is_asked: false,
            failing_since: None,
            failures: 0,
            reads: 0,
            is_wanted: AtomicBool::new(false),
        }
    }

    /// A file with these keys.
    pub(super) fn file(name: String, issuers: Vec<String>, keys: Vec<VerifyingKey>) -> Self {
        Self { keys, ..Self::new(name, Place::File, issuers) }
    }

    /// A set of keys at an address.
    pub(super) fn keys(address: String, issuers: Vec<String>) -> Self {
        Self::new(address.clone(), Place::Keys(address), issuers)
    }

    /// An issuer with a discovery document.
    pub(super) fn issuer(issuer: String) -> Self {
        Self::new(issuer.clone(), Place::Issuer(issuer.clone()), vec![issuer])
    }

    /// Returns whether its keys may change.
    pub(super) fn is_asked_for_keys(&self) -> bool {
        self.place != Place::File
    }

    /// Returns whether its keys are those of this issuer.
    pub(super) fn is_of(&self, issuer: Option<&str>) -> bool {
        issuer.is_some_and(|issuer| self.issuers.iter().any(|own| is_same_issuer(own, issuer)))
    }

    fn is_good(&self, now: Timestamp) -> bool {
        !self.is_asked_for_keys() || self.read_at.is_some_and(|read_at| now < read_at.plus_millis(GOOD_FOR_MS))
    }

    /// Returns its keys, unless they are too old.
    pub(super) fn good_keys(&self, now: Timestamp) -> &[VerifyingKey] {
        if self.is_good(now) { &self.keys } else { &[] }
    }

    /// Returns whether it may be asked for an unknown key now, or is being asked.
    fn may_be_wanted(&self, now: Timestamp) -> bool {
        self.is_asked_for_keys() && (self.is_asked || has_passed(self.asked_for_key_at, ASK_AGAIN_MS, now))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        if self.is_asked || !self.is_asked_for_keys() {
            return false;
        }
        let is_old = match self.failing_since {
            Some(_) => has_passed(self.asked_at, ASK_AGAIN_MS, now),
            None => has_passed(self.read_at, READ_EVERY_MS, now),
        };
        is_old || (self.is_wanted.load(Ordering::Relaxed) && has_passed(self.asked_for_key_at, ASK_AGAIN_MS, now))
    }
}

fn has_passed(since: Option<Timestamp>, millis: i64, now: Timestamp) -> bool {
    since.is_none_or(|since| since.plus_millis(millis) <= now)
}

/// All sources of keys.
#[derive(Debug, Default)]
pub(super) struct Issuers(Vec<Source>);

impl Issuers {
    /// Starts with these sources; only those of files have keys.
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self(sources)
    }

    /// Returns whether there is no source.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lists sources of keys for this issuer. Sources without issuers are only used if no other source names the
    /// issuer.
    pub(super) fn of(&self, issuer: Option<&str>) -> impl Iterator<Item = (usize, &Source)> {
        let is_owned = self.0.iter().any(|source| source.is_of(issuer));
        let counts = move |source: &Source| source.is_of(issuer) || (source.issuers.is_empty() && !is_owned);
        self.0.iter().enumerate().filter(move |(_, source)| counts(source))
    }

    /// Lists all sources.
    pub(super) fn all(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// Returns whether the keys of a source are still valid.
    pub(super) fn is_good(&self, source: usize, now: Timestamp) -> bool {
        self.0.get(source).is_some_and(|source| source.is_good(now))
    }

    /// Finds the key that signed a token of `issuer`; returns its source, and the result of `decode`.
    ///
    /// # Errors
    /// [`TokenError::KeyUnknown`] if a source may have the unknown key; it is asked next.
    pub(super) fn verify(
        &self,
        header: &Header,
        issuer: Option<&str>,
        now: Timestamp,
        decode: impl Fn(&VerifyingKey) -> Option<Payload>,
    ) -> Result<(usize, Payload), TokenError> {
        let mut is_unknown = false;
        for (place, source) in self.of(issuer) {
            let is_named = |key: &&VerifyingKey| key.id.is_none() || header.kid.is_none() || key.id == header.kid;
            let mut fitting = source.good_keys(now).iter().filter(is_named).filter(|key| key.takes(header.alg)).take(TRIES_MAX);
            if let Some(payload) = fitting.find_map(&decode) {
                return Ok((place, payload));
            }
            let knows_it = header.kid.is_some() && source.good_keys(now).iter().any(|key| key.id == header.kid);
            if !knows_it && source.may_be_wanted(now) {
                source.is_wanted.store(true, Ordering::Relaxed);
                is_unknown = true;
            }
        }
        Err(if is_unknown { TokenError::KeyUnknown } else { TokenError::Invalid })
    }

    /// Lists the sources that must be asked now; the caller reports each answer.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Asking> {
        let mut due = Vec::new();
        for (place, source) in self.0.iter_mut().enumerate() {
            if !source.is_due(now) {
                continue;
            }
            source.is_asked = true;
            source.asked_at = Some(now);
            if source.is_wanted.load(Ordering::Relaxed) {
                source.asked_for_key_at = Some(now);
            }
            let (address, issuer) = match &source.place {
                Place::File => continue,
                Place::Keys(address) => (address.clone(), None),
                Place::Issuer(issuer) => {
                    let address = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
                    (address, Some(issuer.clone()))
                }
            };
            due.push(Asking { source: place, name: source.name.clone(), address, issuer });
        }
        due
    }

    /// Returns whether any source is being asked.
    pub(super) fn is_asking(&self) -> bool {
        self.0.iter().any(|source| source.is_asked)
    }

    /// Takes the answer of a source that was asked.
    pub(super) fn answered(&mut self, source: usize, answer: Result<Answer, String>, now: Timestamp) -> News {
        let Some(source) = self.0.get_mut(source) else { return News::Nothing };
        source.is_asked = false;
        source.is_wanted.store(false, Ordering::Relaxed);
        source.reads += 1;
        match answer {
            Ok(Answer(KeySet { keys, complaints })) => {
                let was_away = source.failing_since.take().is_some();
                source.read_at = Some(now);
                let is_same = keys.len() == source.keys.len() && keys.iter().zip(&source.keys).all(|(new, old)| new.is(old));
                if is_same {
                    return if was_away { News::Back } else { News::Nothing };
                }
                source.keys = keys;
                News::Changed { keys: source.keys.len(), complaints }
            }
            Err(cause) => {
                source.failures += 1;
                let was_away = source.failing_since.is_some();
                source.failing_since.get_or_insert(now);
                if was_away { News::Nothing } else { News::Away(cause) }
            }
        }
    }

    /// Returns figures of all sources that are asked.
    pub(super) fn figures(&self, now: Timestamp) -> Vec<IssuerFigures> {
        let asked = self.0.iter().filter(|source| source.is_asked_for_keys());
        let figures = |source: &Source| IssuerFigures {
            name: source.name.clone(),
            keys: source.good_keys(now).len(),
            age_seconds: source
                .read_at
                .map(|read_at| u64::try_from(now.as_millis().saturating_sub(read_at.as_millis()) / 1_000).unwrap_or_default()),
            reads: source.reads,
            failures: source.failures,
        };
        asked.map(figures).collect()
    }
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod rotation_tests;
#[cfg(test)]
#[path = "issuers_tests.rs"]
mod tests;
