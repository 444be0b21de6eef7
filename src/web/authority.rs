//! The table of scopes that keys need for routes.
use crate::config::Scope;

/// Routes for keys, by the scope that they need. All others need [`Scope::Admin`].
const TABLE: &[(Scope, &[(&str, &str)])] = &[
    (Scope::Send, &[("POST", "/api/messages"), ("POST", "/api/notifications")]),
    (
        Scope::Read,
        &[
            ("GET", "/api/users/{id}/sockets"),
            ("GET", "/api/admin/sockets"),
            ("GET", "/api/admin/sockets/{id}"),
            ("GET", "/api/admin/rooms"),
            ("GET", "/api/admin/rooms/{room}"),
            ("GET", "/api/admin/explain/user/{who}"),
            ("GET", "/api/admin/explain/message/{id}"),
        ],
    ),
    (
        Scope::Users,
        &[
            ("POST", "/api/admin/users"),
            ("PATCH", "/api/admin/users/{id}"),
            ("DELETE", "/api/admin/users/{id}"),
            ("POST", "/api/admin/tokens/revoke"),
        ],
    ),
    (
        Scope::Conversations,
        &[
            ("POST", "/api/conversations"),
            ("PATCH", "/api/conversations/{id}"),
            ("DELETE", "/api/conversations/{id}"),
            ("POST", "/api/conversations/{id}/participants"),
            ("DELETE", "/api/conversations/{id}/participants/{user}"),
            ("PUT", "/api/listings/{id}"),
        ],
    ),
    (Scope::Emit, &[("POST", "/api/emit")]),
];

/// Returns the scope that a key needs for a route, by the route's pattern.
pub(super) fn scope_of(method: &str, pattern: &str) -> Scope {
    let method = if method == "HEAD" { "GET" } else { method };
    let has = |routes: &[(&str, &str)]| routes.contains(&(method, pattern));
    TABLE.iter().find(|(_, routes)| has(routes)).map_or(Scope::Admin, |(scope, _)| *scope)
}
