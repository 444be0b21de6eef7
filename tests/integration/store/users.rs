//! Users, tokens, uploads.
use parlance::model::{Account, ChosenStatus, File, MODEL_USER, UserRole, name_key};
use parlance::store::{self, AccountChange, NewUser, StoreError, Write, Written};

use super::fixture::{Fixture, at, new_user, outcome, user};

on_both_databases!(
    a_user_comes_back_as_made,
    an_account_changes_as_a_whole_or_not_at_all,
    names_are_unique_without_regard_to_case,
    a_provisioned_user_gets_a_free_name,
    users_change,
    users_are_found_by_part_of_a_name,
    a_search_finds_what_a_look_at_everybody_finds,
    the_model_is_there,
    revoked_tokens_are_kept_until_they_expire,
    uploads_have_an_owner,
);

async fn account(fixture: &Fixture, name: &'static str) -> Account {
    fixture.ask(move |conn| store::find_account(conn, &user(name))).await.unwrap()
}

async fn username(fixture: &Fixture, new: NewUser) -> Result<String, StoreError> {
    match fixture.write(Write::CreateUser(Box::new(new))).await? {
        Written::User(profile) => Ok(profile.username.clone()),
        other => panic!("{other:?}"),
    }
}

async fn a_user_comes_back_as_made(fixture: Fixture) {
    let new = NewUser {
        email: Some("Dan@Example.org".to_owned()),
        full_name: Some("Dan D.".to_owned()),
        password_hash: Some("$argon2id$x".to_owned()),
        role: UserRole::Admin,
        ..new_user("dan")
    };
    let Written::User(profile) = fixture.done(Write::CreateUser(Box::new(new.clone()))).await else { panic!("no user") };
    let found = account(&fixture, "dan").await;
    assert_eq!(found.profile, profile);
    assert_eq!(
        (found.profile.email.as_deref(), found.profile.role, found.status),
        (Some("Dan@Example.org"), UserRole::Admin, ChosenStatus::Online)
    );
    assert_eq!((found.last_seen, found.disabled, found.tokens_valid_from, found.kept_login), (None, false, None, None));
    assert_eq!(found.created_at, new.created_at);
    // The same id again is no error, and changes nothing.
    let again = NewUser { username: "Daniel".to_owned(), ..new };
    assert_eq!(username(&fixture, again).await.as_deref(), Ok("dan"));
    for login in ["dan", "DAN", "dan@example.ORG"] {
        let (found, hash) = fixture.ask(move |conn| store::find_credentials(conn, login)).await.unwrap();
        assert_eq!((found.profile.id.as_str(), hash.as_deref()), ("dan", Some("$argon2id$x")));
    }
    assert!(fixture.ask(|conn| store::find_credentials(conn, "nobody")).await.is_none());
    assert_eq!(fixture.ask(|conn| store::find_account(conn, &user("nobody"))).await, None);
}

async fn names_are_unique_without_regard_to_case(fixture: Fixture) {
    let first = NewUser { email: Some("x@y.z".to_owned()), username: "Änne".to_owned(), ..new_user("d1") };
    assert_eq!(username(&fixture, first).await.as_deref(), Ok("Änne"));
    let same_name = NewUser { username: "äNNE".to_owned(), ..new_user("d2") };
    assert_eq!(username(&fixture, same_name).await, Err(StoreError::Conflict("username")));
    let same_email = NewUser { email: Some("X@Y.Z".to_owned()), ..new_user("d3") };
    assert_eq!(username(&fixture, same_email).await, Err(StoreError::Conflict("email")));
    assert!(fixture.ask(|conn| store::find_account(conn, &user("d2"))).await.is_none());
}

async fn a_provisioned_user_gets_a_free_name(fixture: Fixture) {
    let email = Some("x@y.z".to_owned());
    let mut names = Vec::new();
    for number in 0..12 {
        let provisioned = NewUser {
            username: "Ann".to_owned(),
            suffix_if_taken: true,
            email: email.clone(),
            ..new_user(&format!("p{number}"))
        };
        names.push(username(&fixture, provisioned).await.unwrap());
    }
    assert_eq!(names, (2..14).map(|number| format!("Ann{number}")).collect::<Vec<_>>());
    assert_eq!(account(&fixture, "p0").await.profile.email, email);
    assert_eq!(account(&fixture, "p1").await.profile.email, None);
    let long = "x".repeat(64);
    for expected in [long.clone(), format!("{}2", &long[1..])] {
        let id = format!("long{}", &expected[60..]);
        let new = NewUser { username: long.clone(), suffix_if_taken: true, ..new_user(&id) };
        assert_eq!(username(&fixture, new).await.unwrap(), expected);
    }
}

async fn users_change(fixture: Fixture) {
    let ann = user("ann");
    for write in [
        Write::UpdateProfile {
            user: ann.clone(),
            full_name: Some(Some("Ann B.".to_owned())),
            avatar: Some(Some("/a.png".to_owned())),
        },
        Write::SetStatus { user: ann.clone(), status: ChosenStatus::Away },
        Write::SetLastSeen { user: ann.clone(), last_seen: at(5) },
        Write::SetPassword {
            user: ann.clone(),
            password_hash: "new".to_owned(),
            valid_from: at(6),
            kept_login: Some("l1".to_owned()),
        },
        Write::SetRole { user: ann.clone(), role: UserRole::Admin, at: at(7) },
        Write::ChangeAccount(Box::new(AccountChange { disabled: Some(true), ..AccountChange::of(ann.clone(), at(7)) })),
        Write::SetRole { user: user("nobody"), role: UserRole::Admin, at: at(7) },
    ] {
        assert_eq!(fixture.done(write).await, Written::Done);
    }
    let found = account(&fixture, "ann").await;
    assert_eq!((found.profile.full_name.as_deref(), found.profile.avatar.as_deref()), (Some("Ann B."), Some("/a.png")));
    assert_eq!(
        (found.status, found.last_seen, found.profile.role, found.disabled),
        (ChosenStatus::Away, Some(at(5)), UserRole::Admin, true)
    );
    assert_eq!((found.tokens_valid_from, found.kept_login.as_deref()), (Some(at(6)), Some("l1")));
    let (_, hash) = fixture.ask(|conn| store::find_credentials(conn, "ann")).await.unwrap();
    assert_eq!(hash.as_deref(), Some("new"));
    assert_eq!(fixture.ask(|conn| store::search_users(conn, "NN B", 9)).await, [found]);
}

async fn an_account_changes_as_a_whole_or_not_at_all(fixture: Fixture) {
    let before = account(&fixture, "ann").await;
    let disabled = |id: &str| AccountChange { disabled: Some(true), ..AccountChange::of(user(id), at(7)) };
    let named = AccountChange { username: Some("BOB".to_owned()), ..disabled("ann") };
    let conflict = fixture.write(Write::ChangeAccount(Box::new(named))).await;
    assert_eq!(conflict, Err(StoreError::Conflict("username")));
    assert_eq!(account(&fixture, "ann").await, before);
    for id in [MODEL_USER, "nobody"] {
        let known = fixture.ask(move |conn| store::find_account(conn, &user(id))).await;
        assert_eq!(fixture.done(Write::ChangeAccount(Box::new(disabled(id)))).await, Written::Done);
        assert_eq!(fixture.ask(move |conn| store::find_account(conn, &user(id))).await, known, "{id}");
    }
}

async fn users_are_found_by_part_of_a_name(fixture: Fixture) {
    for (id, full_name) in [("d1", "Émile 100%"), ("d2", "Emil_e"), ("d3", "Joanna")] {
        fixture.done(Write::CreateUser(Box::new(NewUser { full_name: Some(full_name.to_owned()), ..new_user(id) }))).await;
    }
    for (text, limit, expected) in [
        ("ANN", 9, vec!["ann", "d3"]),
        ("ann", 1, vec!["ann"]),
        ("éMILE", 9, vec!["d1"]),
        ("%", 9, vec!["d1"]),
        ("_", 9, vec!["d2"]),
        ("\\", 9, vec![]),
        ("zzz", 9, vec![]),
    ] {
        let found = fixture.ask(move |conn| store::search_users(conn, text, limit)).await;
        assert_eq!(found.iter().map(|account| account.profile.id.as_str()).collect::<Vec<_>>(), expected, "{text}");
    }
    let found = fixture.ask(|conn| store::find_profiles(conn, &[user("bob"), user("nobody"), user("ann")])).await;
    let mut ids: Vec<_> = found.iter().map(|profile| profile.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["ann", "bob"]);
    let page = fixture.ask(|conn| store::list_accounts(conn, Some(&user("ann")), 2)).await;
    assert_eq!(page.iter().map(|account| account.profile.id.as_str()).collect::<Vec<_>>(), ["bob", "cid"]);
    assert_eq!(fixture.ask(store::count_users).await, 7);
}

async fn a_search_finds_what_a_look_at_everybody_finds(fixture: Fixture) {
    // More than the index is asked for, and none of them among the first.
    let mut names: Vec<String> = (0..300).map(|number| format!("a{number:03}")).collect();
    names.extend((0..1_100).map(|number| format!("zed {number}")));
    names.extend(["Ünal \"Ü\"", "%_\\%_", "日本語の名前"].map(str::to_owned));
    let created: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(id, name)| NewUser { full_name: Some(name.clone()), username: format!("u{name}"), ..new_user(&format!("x{id}")) })
        .map(|new| fixture.begin(Write::CreateUser(Box::new(new))))
        .collect();
    for answer in created {
        outcome(answer).await.unwrap();
    }
    let renamed = Write::UpdateProfile { user: user("x7"), full_name: Some(Some("Zeded".to_owned())), avatar: None };
    fixture.done(renamed).await;
    fixture.done(Write::DeleteUser { user: user("x8"), deleted_at: at(9), keeps_name: false }).await;
    let everybody = fixture.ask(|conn| store::list_accounts(conn, None, 10_000)).await;
    for text in [
        "zed",
        "ed 10",
        "zed 1099",
        "uzed 5",
        "a29",
        "a00",
        "a007",
        "a008",
        "eded",
        "1",
        "9 ",
        "ÜNAL",
        "l \"ü",
        "%_\\",
        "本語の",
        "zed zed",
    ] {
        for limit in [1, 7, 2_000] {
            let found = fixture.ask(move |conn| store::search_users(conn, text, limit)).await;
            let key = name_key(text);
            let is_meant = |name: Option<&str>| name.is_some_and(|name| name_key(name).contains(&key));
            let mut expected: Vec<_> = everybody
                .iter()
                .filter(|user| is_meant(Some(&user.profile.username)) || is_meant(user.profile.full_name.as_deref()))
                .collect();
            expected.sort_by_key(|user| name_key(&user.profile.username));
            expected.truncate(usize::try_from(limit).unwrap());
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{text} {limit}");
        }
    }
    for (name, is_shown) in [("zeded", true), ("ZED 1000", true), ("zed 10000", false), ("ed 1000", false), ("a007", false)] {
        assert_eq!(fixture.ask(move |conn| store::is_full_name(conn, name)).await, is_shown, "{name}");
    }
}

async fn the_model_is_there(fixture: Fixture) {
    assert_eq!(account(&fixture, "model").await.profile.username, "model");
    let same_name = NewUser { username: "Model".to_owned(), ..new_user("m2") };
    assert_eq!(username(&fixture, same_name).await, Err(StoreError::Conflict("username")));
}

async fn revoked_tokens_are_kept_until_they_expire(fixture: Fixture) {
    for (key, until) in [("a", 100), ("b", 200), ("b", 150), ("c", 50)] {
        fixture.done(Write::RevokeToken { key: key.to_owned(), until: at(until) }).await;
    }
    let mut revoked = fixture.ask(|conn| store::list_revoked(conn, at(60))).await;
    revoked.sort();
    assert_eq!(revoked, [("a".to_owned(), at(100)), ("b".to_owned(), at(200))]);
}

async fn uploads_have_an_owner(fixture: Fixture) {
    let file = |name: &str| File {
        url: format!("/uploads/{name}.png"),
        filename: "a.png".to_owned(),
        size: 12,
        mimetype: "image/png".to_owned(),
        message_type: "image".to_owned(),
    };
    for name in ["x", "y", "x"] {
        fixture.done(Write::Upload { file: file(name), owner: user("ann"), uploaded_at: at(1) }).await;
    }
    let urls = vec![file("x").url, file("unknown").url];
    assert_eq!(fixture.ask(move |conn| store::find_uploads(conn, &urls)).await, [(file("x"), user("ann"))]);
    let of_nobody = Write::Upload { file: file("z"), owner: user("nobody"), uploaded_at: at(1) };
    assert_eq!(fixture.write(of_nobody).await, Err(StoreError::Refused));
}
