//! The tables, as `diesel print-schema` prints them.

diesel::table! {
    users (id) {
        id -> Text,
        username -> Text,
        username_key -> Text,
        email -> Nullable<Text>,
        email_key -> Nullable<Text>,
        password_hash -> Nullable<Text>,
        full_name -> Nullable<Text>,
        avatar -> Nullable<Text>,
        search_text -> Text,
        role -> Text,
        status -> Text,
        last_seen -> Nullable<BigInt>,
        disabled -> Bool,
        tokens_valid_from -> Nullable<BigInt>,
        kept_login -> Nullable<Text>,
        created_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        described_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    conversations (id) {
        id -> Text,
        kind -> Text,
        name -> Nullable<Text>,
        avatar -> Nullable<Text>,
        admin -> Nullable<Text>,
        direct_key -> Nullable<Text>,
        last_seq -> BigInt,
        last_position -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    conversation_names (owner, name) {
        owner -> Text,
        name -> Text,
        conversation -> Text,
        named_at -> BigInt,
    }
}

diesel::table! {
    rooms (place) {
        place -> Text,
        last_seq -> BigInt,
        last_position -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    participants (conversation, user_id) {
        conversation -> Text,
        user_id -> Text,
        delivered_seq -> BigInt,
        read_seq -> BigInt,
        joined_at -> BigInt,
        joined_rank -> BigInt,
        joined_position -> BigInt,
        left_at -> Nullable<BigInt>,
        not_unread -> Nullable<BigInt>,
    }
}

diesel::table! {
    messages (id) {
        id -> Text,
        place -> Text,
        seq -> BigInt,
        position -> BigInt,
        sender -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        role -> Text,
        message_type -> Text,
        listing_id -> Nullable<Text>,
        client_message_id -> Nullable<Text>,
        request_hash -> Nullable<Binary>,
        sent_by -> Nullable<Binary>,
        file -> Nullable<Text>,
        attachments -> Nullable<Text>,
        content -> Text,
        chat -> Nullable<Text>,
        changed_position -> Nullable<BigInt>,
        truncated -> Nullable<Bool>,
    }
}

diesel::table! {
    message_reads (message, user_id) {
        message -> Text,
        user_id -> Text,
        read_at -> BigInt,
    }
}

diesel::table! {
    notifications (id) {
        id -> Text,
        user_id -> Text,
        kind -> Text,
        message -> Text,
        data -> Nullable<Text>,
        conversation -> Nullable<Text>,
        seen_at -> Nullable<BigInt>,
        read_at -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    uploads (url) {
        url -> Text,
        owner -> Text,
        filename -> Text,
        size -> BigInt,
        mimetype -> Text,
        message_type -> Text,
        uploaded_at -> BigInt,
    }
}

diesel::table! {
    file_names (namer, url) {
        namer -> Text,
        url -> Text,
    }
}

diesel::table! {
    unnamed_files (url) {
        url -> Text,
    }
}

diesel::table! {
    deleted_places (place) {
        place -> Text,
    }
}

diesel::table! {
    listings (id) {
        id -> Text,
        title -> Text,
        updated_at -> BigInt,
    }
}

diesel::table! {
    boots (id) {
        id -> BigInt,
        started_at -> BigInt,
        last_position -> BigInt,
        given_up_to -> Nullable<BigInt>,
        alive_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    online_users (user_id) {
        user_id -> Text,
    }
}

diesel::table! {
    revoked_tokens (token_key) {
        token_key -> Text,
        revoked_until -> BigInt,
    }
}

diesel::table! {
    logins (id) {
        id -> Text,
        user_id -> Text,
        begun_at -> BigInt,
        used_at -> BigInt,
        expires_at -> BigInt,
        address -> Nullable<Text>,
        agent -> Nullable<Text>,
    }
}

diesel::table! {
    account_changes (id) {
        id -> BigInt,
        user_id -> Nullable<Text>,
        token_key -> Nullable<Text>,
    }
}

diesel::table! {
    audit_log (id) {
        id -> Text,
        done_at -> BigInt,
        actor -> Text,
        action -> Text,
        object -> Nullable<Text>,
        address -> Nullable<Text>,
        times -> BigInt,
    }
}

diesel::table! {
    unkeyed_users (user_id) {
        user_id -> Text,
    }
}

diesel::table! {
    imports (file) {
        file -> Text,
        lines -> BigInt,
        digest -> Text,
    }
}

diesel::table! {
    webhook_events (number) {
        number -> BigInt,
        webhook -> Text,
        event -> Text,
        lane -> Text,
        subject -> Text,
        detail -> Nullable<Text>,
        happened_at -> BigInt,
        queued_at -> BigInt,
    }
}

diesel::table! {
    webhook_dead_letters (number) {
        number -> BigInt,
        webhook -> Text,
        event -> Text,
        lane -> Text,
        subject -> Text,
        detail -> Nullable<Text>,
        happened_at -> BigInt,
        queued_at -> BigInt,
        died_at -> BigInt,
        failure -> Text,
    }
}

diesel::table! {
    webhook_checks (number) {
        number -> BigInt,
        message -> Text,
        due_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    account_changes,
    audit_log,
    boots,
    conversation_names,
    conversations,
    deleted_places,
    file_names,
    imports,
    listings,
    logins,
    message_reads,
    messages,
    notifications,
    online_users,
    participants,
    revoked_tokens,
    rooms,
    unkeyed_users,
    unnamed_files,
    uploads,
    users,
    webhook_checks,
    webhook_dead_letters,
    webhook_events,
);
