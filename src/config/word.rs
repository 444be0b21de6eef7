//! Settings whose value is one word of a list.
use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $other:literal)*,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Returns the word as it is written.
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
    /// Time at which recipients get a message.
    Delivery {
        /// While it is being stored.
        Live = "live",
        /// After it was stored.
        Stored = "stored",
    }
}

words! {
    /// The users who see who is online.
    PresenceScope {
        /// All users.
        Everyone = "everyone",
        /// Users who share a conversation.
        Contacts = "contacts",
    }
}

words! {
    /// Delivery of missed messages at connect.
    CatchUp {
        /// They are delivered.
        On = "on" | "true",
        /// They are left to the history.
        Off = "off" | "false",
    }
}

words! {
    /// The chat served at `/`.
    WebChat {
        /// The chat; before the first account, and with default settings, the demo.
        On = "on" | "true",
        /// The demo, whatever is set.
        Demo = "demo",
        /// No page: 404.
        Off = "off" | "false",
    }
}

words! {
    /// The data shown in the Admin UI.
    AdminUiMode {
        /// Sockets, rooms, and events with their contents.
        Development = "development",
        /// Figures only.
        Production = "production",
    }
}

words! {
    /// The provider of the model's answers.
    AiProvider {
        /// None: the answer says so.
        Echo = "echo",
        /// Google's Gemini API.
        Gemini = "gemini",
        /// Any server that speaks chat completions.
        Openai = "openai",
    }
}

words! {
    /// Scope of a server's key.
    Scope {
        /// Messages and notifications to users.
        Send = "send",
        /// Sockets, rooms, and explanations of missing messages.
        Read = "read",
        /// Accounts and tokens.
        Users = "users",
        /// Groups, their members, and titles of listings.
        Conversations = "conversations",
        /// Custom events.
        Emit = "emit",
        /// Figures, the log, the feed, the audit, and kicks.
        Admin = "admin",
    }
}

words! {
    /// Sites whose pages send the login cookie.
    SameSite {
        /// This site, and links to it.
        Lax = "lax",
        /// This site.
        Strict = "strict",
        /// All sites, for front ends on another one.
        None = "none",
    }
}

words! {
    /// Event that a webhook may be sent.
    WebhookEvent {
        /// A message was stored.
        MessageCreated = "message.created",
        /// A message was edited.
        MessageEdited = "message.edited",
        /// A message was deleted.
        MessageDeleted = "message.deleted",
        /// A member read a message.
        MessageRead = "message.read",
        /// A message is not proven to have arrived at any device of some recipients.
        MessageUnreached = "message.unreached",
        /// A conversation was made, changed or deleted, or its members were.
        ConversationChanged = "conversation.changed",
        /// A user came online.
        UserConnected = "user.connected",
        /// A user went offline.
        UserDisconnected = "user.disconnected",
    }
}

words! {
    /// The form of the log's lines.
    LogFormat {
        /// For people.
        Text = "text",
        /// For programs.
        Json = "json",
    }
}

words! {
    /// A kind of request that the operator's hook is asked about.
    HookEvent {
        /// A client comes in.
        Connect = "connect",
        /// A message is sent.
        Send = "send",
        /// A message is edited.
        Edit = "edit",
        /// A message is deleted.
        Delete = "delete",
        /// Somebody enters a public room or the common chat.
        Join = "join",
        /// A file is uploaded.
        Upload = "upload",
    }
}

words! {
    /// The answer in place of a hook that gives none.
    HookFailure {
        /// The request is refused.
        Refuse = "refuse",
        /// The request is carried out as it came.
        Allow = "allow",
    }
}
