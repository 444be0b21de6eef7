//! Findings of the checks.

/// Weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    Warning,
    Error,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The result of one check.
#[derive(Debug)]
pub(super) struct Finding {
    pub status: Status,
    pub what: &'static str,
    pub found: String,
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { status: Status::Ok, what, found: found.into(), advice: None }
    }

    pub(super) fn warning(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Warning, what, found: found.into(), advice: Some(advice.into()) }
    }

    pub(super) fn error(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Error, what, found: found.into(), advice: Some(advice.into()) }
    }

    pub(super) fn line(&self) -> String {
        let Self { status, what, found, advice } = self;
        let advice = advice.as_deref().map(|advice| format!(" – {advice}")).unwrap_or_default();
        format!("{:8} {what:13} {found}{advice}\n", status.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_says_what_to_do() {
        let finding = Finding::warning("disk", "12 MB free", "make room");
        assert_eq!(finding.line(), "warning  disk          12 MB free – make room\n");
        assert_eq!(Finding::ok("port", "free").line(), "ok       port          free\n");
    }
}
