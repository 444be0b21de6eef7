//! Parts common to all routes: authentication, parsing of requests, error answers, and the middleware in front of them.
//!
//! Answers are `{success:true, …}`, or `{success:false, error, message, code}`.
mod account_fields;
mod audit;
mod authority;
mod body;
mod chat;
mod deleting;
mod demo;
mod figures;
mod http_error;
mod identity;
mod login_limit;
mod middleware;
mod openapi;
mod operation;
mod page;
mod password_work;
mod path;
mod query;
mod rate_limit;
mod routing;
mod settings;
mod user_lookup;

pub use self::account_fields::{AccountFields, change_account, changed, emptiable, find_stored, stored_account};
pub use self::audit::{Act, Actor, ActsOn, Audit, audit_entry};
pub use self::body::Body;
pub use self::chat::Chat;
pub use self::deleting::{delete_absent_guest, delete_account};
pub use self::demo::{demo_people, end_demo, end_old_demo, may_see_demo};
pub use self::figures::{AskConnections, AskFigures, AskUpload, AwaitKeys, ForwardFigures, HookFigures, ServerFigures, Traffic};
pub use self::http_error::HttpError;
pub use self::identity::{Admin, AuthenticatedUser, Requester};
pub use self::login_limit::{LoginLimit, Tried};
pub use self::middleware::RequestOrigin;
pub use self::openapi::openapi;
pub use self::operation::{Answer, DocumentedError, HOOK_FAILED, HOOK_REFUSED, Operation, Sent, Who};
pub use self::page::{Cursor, MAX_PAGE, Page, PageRequest};
pub use self::password_work::PasswordWork;
pub use self::path::{path_text, user_in_path};
pub use self::query::Query;
pub use self::rate_limit::{Asks, RateLimit, Search};
pub use self::routing::{configure, endpoint, get_or_head};
pub use self::settings::{Settings, WebState};
pub use self::user_lookup::{USER_NAME_MAX, find_user};
