//! Settings that are one word of a list.
use std::fmt;
use std::str::FromStr;

use super::kind::{items, join};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $other:literal)*,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word $(| $other)* => Ok(Self::$variant),)+
                    _ => Err(format!("{text:?} is unknown; known are {}", [$($word),+].join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// When recipients get a message.
    Delivery {
        /// While it is being stored.
        Live = "live",
        /// After it was stored.
        Stored = "stored",
    }
}

words! {
    /// Who learns who is online.
    PresenceScope {
        /// All users.
        Everyone = "everyone",
        /// Those who share a conversation.
        Contacts = "contacts",
    }
}

words! {
    /// Whether missed messages are delivered at connect.
    CatchUp {
        /// They are.
        On = "on" | "true",
        /// They are left to the history.
        Off = "off" | "false",
    }
}

/// Which event vocabularies are meant. What there are is known to `dialect`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DialectNames {
    /// Every one that there is.
    #[default]
    All,
    /// Those with these names.
    Listed(Vec<String>),
}

impl FromStr for DialectNames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "all" {
            return Ok(Self::All);
        }
        let mut names: Vec<String> = Vec::new();
        for name in items(text) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        if names.is_empty() {
            Err("names nothing; write a comma-separated list, or all".to_owned())
        } else {
            Ok(Self::Listed(names))
        }
    }
}

impl fmt::Display for DialectNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::Listed(names) => formatter.write_str(&join(names)),
        }
    }
}
