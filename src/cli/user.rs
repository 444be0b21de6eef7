//! `parlance user …`: creates, promotes, lists and deletes users in the configured database, even while the server
//! runs.
use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::{Args, Subcommand, ValueEnum};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::json;
use uuid::Uuid;

use super::database;
use super::error::CliError;
use super::output::print;
use crate::auth::{check_email, check_full_name, check_password, check_username, hash_password};
use crate::config::Config;
use crate::model::{Account, Timestamp, UserId, UserRole};
use crate::store::{self, NewUser, PersonalError, Store, StoreError, StoreOptions, Write, Written};
use crate::web::audit_entry;

/// Commands on users.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create a user who can log in.
    Add(AddUser),
    /// Set a user's password, from the terminal or the first line of standard input; all of the user's logins end.
    Password {
        /// Username or e-mail address.
        name: String,
    },
    /// Make a user an administrator, or an ordinary user again.
    Role {
        /// Username or e-mail address.
        name: String,
        /// The role.
        role: Role,
    },
    /// Delete a user: personal data is deleted, messages to others stay. While the server runs, use DELETE
    /// /api/admin/users/ID instead.
    Delete {
        /// Username or e-mail address.
        name: String,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// Write all data of a user to standard output, as JSON lines.
    Export {
        /// Username or e-mail address.
        name: String,
    },
    /// List all users.
    List {
        /// Print JSON, one user a line.
        #[arg(long)]
        json: bool,
    },
}

/// Options of `user add`.
#[derive(Debug, Args)]
pub(super) struct AddUser {
    /// Username, 1 to 64 characters.
    name: String,
    /// E-mail address; it also serves for logging in.
    #[arg(long)]
    email: Option<String>,
    /// Password, 8 to 1024 characters; default: read from standard input (arguments are visible to others).
    #[arg(long)]
    password: Option<String>,
    /// Display name.
    #[arg(long)]
    full_name: Option<String>,
    /// Role of the user.
    #[arg(long, default_value = "user")]
    role: Role,
}

/// A role, as written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Role {
    User,
    Admin,
}

impl From<Role> for UserRole {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Admin => Self::Admin,
        }
    }
}

/// Number of users read by one query of `user list`.
const PAGE: i64 = 500;

/// Runs a command against the database of `config`.
pub(super) async fn execute(command: UserCommand, config: &Config) -> Result<(), CliError> {
    match command {
        UserCommand::Add(user) => {
            // Validated before the database is opened, so that an invalid argument fails at once.
            let new = new_user(user)?;
            // The first user may be created before the server's first start.
            let store = Store::open_or_make_beside(options(config)?).await.map_err(CliError::new)?;
            add(&store, new).await
        }
        UserCommand::Password { name } => {
            let password = read_password(&name)?;
            check_password(&password).map_err(CliError::new)?;
            set_password(&open(config).await?, &name, &password).await
        }
        UserCommand::Role { name, role } => set_role(&open(config).await?, &name, role.into()).await,
        UserCommand::Delete { name, yes } => {
            // A running server would still take the user for existing.
            drop(store::connect_alone(&database::url(config)?).map_err(|error| database::failed(&error))?);
            delete(&open(config).await?, &name, yes).await
        }
        UserCommand::Export { name } => export(&open(config).await?, &name).await,
        UserCommand::List { json } => list(&open(config).await?, json).await,
    }
}

pub(super) async fn open(config: &Config) -> Result<Store, CliError> {
    Store::open_beside(options(config)?).await.map_err(CliError::new)
}

fn options(config: &Config) -> Result<StoreOptions, CliError> {
    let url = database::url(config)?;
    Ok(StoreOptions {
        url,
        pool_size: 1,
        retry_for: config.store_retry_for,
        queue: config.store_queue,
        webhooks: store::Subscribers::default(),
    })
}

fn new_user(user: AddUser) -> Result<NewUser, CliError> {
    let AddUser { name, email, password, full_name, role } = user;
    email.as_deref().map_or(Ok(()), check_email).map_err(CliError::new)?;
    check_username(&name, email.as_deref()).map_err(CliError::new)?;
    full_name.as_deref().map_or(Ok(()), check_full_name).map_err(CliError::new)?;
    let password = match password {
        Some(password) => password,
        None => read_password(&name)?,
    };
    check_password(&password).map_err(CliError::new)?;
    Ok(NewUser {
        id: UserId::parse(&Uuid::now_v7().to_string()).map_err(CliError::new)?,
        username: name.trim().to_owned(),
        suffix_if_taken: false,
        email,
        full_name,
        password_hash: Some(hash_password(&password).map_err(CliError::new)?),
        role: role.into(),
        described_at: None,
        created_at: Timestamp::now(),
    })
}

/// Reads the first line of standard input, without its end.
pub(super) fn read_password(name: &str) -> Result<String, CliError> {
    let stdin = io::stdin();
    let unseen = stdin.is_terminal().then(|| {
        let _ = write!(io::stderr(), "Password of {name}: ");
        HiddenInput::begin()
    });
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    drop(unseen);
    read.map_err(|error| CliError(format!("cannot read the password: {error}")))?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(CliError("no password: give --password, or write it to standard input".to_owned()));
    }
    Ok(password.to_owned())
}

/// Hides what is typed into the terminal, until it is dropped.
struct HiddenInput(Option<Termios>);

impl HiddenInput {
    fn begin() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut quiet) = before.clone() {
            quiet.local_modes.remove(LocalModes::ECHO);
            // On failure the password stays visible.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &quiet);
        }
        Self(before)
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
            let _ = writeln!(io::stderr());
        }
    }
}

/// Records a command that changed an account.
pub(super) async fn note(store: &Store, action: &str, object: &str) -> Result<(), CliError> {
    let entry = audit_entry("command line", format!("parlance {action}"), Some(object.to_owned()), None, 1);
    store.write(Write::Audit(Box::new(entry))).await.map(drop).map_err(|error| failed(&error))
}

async fn add(store: &Store, new: NewUser) -> Result<(), CliError> {
    let (name, role, id) = (new.username.clone(), new.role, new.id.clone());
    let made = store.write(Write::CreateUser(Box::new(new))).await;
    if made.is_ok() {
        note(store, &format!("user add --role {}", role.as_str()), id.as_str()).await?;
    }
    match made {
        Ok(Written::User(profile)) => print(&format!("created {} {} (id {})\n", role.as_str(), profile.username, profile.id)),
        Ok(_) => print(&format!("created {} {name}\n", role.as_str())),
        Err(StoreError::Conflict(field)) => Err(CliError(format!("the {field} is taken: choose another"))),
        Err(error) => Err(failed(&error)),
    }
}

async fn set_password(store: &Store, name: &str, password: &str) -> Result<(), CliError> {
    let account = find(store, name).await?;
    let user = account.profile.id.clone();
    let password_hash = hash_password(password).map_err(CliError::new)?;
    let write = Write::SetPassword { user, password_hash, valid_from: Timestamp::now(), kept_login: None };
    store.write(write).await.map_err(|error| failed(&error))?;
    note(store, "user password", account.profile.id.as_str()).await?;
    print(&format!("{} has a new password; all logins end\n", account.profile.username))
}

async fn set_role(store: &Store, name: &str, role: UserRole) -> Result<(), CliError> {
    let account = find(store, name).await?;
    let user = account.profile.id.clone();
    store.write(Write::SetRole { user, role, at: Timestamp::now() }).await.map_err(|error| failed(&error))?;
    note(store, &format!("user role {}", role.as_str()), account.profile.id.as_str()).await?;
    print(&format!("{} is {} now\n", account.profile.username, role.as_str()))
}

async fn find(store: &Store, name: &str) -> Result<Account, CliError> {
    let login = name.to_owned();
    let found = store.read(move |connection| store::find_credentials(connection, &login)).await;
    let found = found.map_err(|error| failed(&error))?.map(|(account, _)| account).filter(|account| !account.is_deleted);
    found.ok_or_else(|| CliError(format!("there is no user {name:?}: `parlance user list` shows all")))
}

async fn delete(store: &Store, name: &str, is_confirmed: bool) -> Result<(), CliError> {
    let account = find(store, name).await?;
    let username = &account.profile.username;
    if !is_confirmed && !database::confirms(&format!("Delete {username}, for good?")) {
        return Err(CliError(format!("{username} stays; to delete without confirmation, give --yes")));
    }
    let write = Write::DeleteUser { user: account.profile.id.clone(), deleted_at: Timestamp::now(), keeps_name: false };
    store.write(write).await.map_err(|error| failed(&error))?;
    note(store, "user delete", account.profile.id.as_str()).await?;
    print(&format!("deleted {username}\n"))
}

async fn export(store: &Store, name: &str) -> Result<(), CliError> {
    let account = find(store, name).await?;
    let outcome = store::export_personal(store, &account.profile.id, async |text| print(&text).is_ok()).await;
    outcome.map_err(|error| match error {
        PersonalError::Store(error) => failed(&error),
        PersonalError::NoUser => CliError(format!("{name:?} was deleted meanwhile")),
        PersonalError::Unwanted => CliError("cannot write the output".to_owned()),
    })
}

async fn list(store: &Store, as_json: bool) -> Result<(), CliError> {
    let show = if as_json { json_line } else { text_line };
    let mut after: Option<UserId> = None;
    loop {
        let start = after.take();
        let found = store.read(move |connection| store::list_accounts(connection, start.as_ref(), PAGE)).await;
        let accounts = found.map_err(|error| failed(&error))?;
        let Some(last) = accounts.last() else { return Ok(()) };
        after = Some(last.profile.id.clone());
        print(&accounts.iter().map(show).collect::<String>())?;
    }
}

fn json_line(account: &Account) -> String {
    let Account { profile, status, last_seen, disabled, created_at, .. } = account;
    let line = json!({
        "id": profile.id, "username": profile.username, "fullName": profile.full_name, "email": profile.email,
        "role": profile.role.as_str(), "status": status.as_str(), "disabled": disabled,
        "lastSeen": last_seen, "createdAt": created_at,
    });
    format!("{line}\n")
}

fn text_line(account: &Account) -> String {
    let profile = &account.profile;
    let mut line = format!("{}  {:5}  {}", profile.id, profile.role.as_str(), profile.username);
    for part in [&profile.full_name, &profile.email].into_iter().flatten() {
        // Writing to a String cannot fail.
        let _ = write!(line, "  {part}");
    }
    if account.disabled {
        line.push_str("  (disabled)");
    }
    // A name with a line break must not look like two users.
    line.chars().map(|character| if character.is_control() { ' ' } else { character }).chain(['\n']).collect()
}

pub(super) fn failed(error: &StoreError) -> CliError {
    let hint = match error {
        StoreError::Unavailable => ": is it running, and is DATABASE_URL right?",
        _ => "",
    };
    CliError(format!("{error}{hint}"))
}
