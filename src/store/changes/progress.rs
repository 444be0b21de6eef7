//! Delivery progress of members.
use std::collections::HashMap;

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Text};

use crate::model::{ConversationId, UserId};
use crate::store::connection::AnyConnection;
use crate::store::schema::participants;
use crate::store::write::{DeliveredUpTo, Write};

/// Stores the progress of members among `changes`: the furthest of each.
pub(super) fn store(conn: &mut AnyConnection, changes: &[&Write]) -> QueryResult<()> {
    let mut furthest: HashMap<(ConversationId, &UserId), i64> = HashMap::new();
    for change in changes {
        let Write::Delivered(updates) = change else { continue };
        for DeliveredUpTo { conversation, user, seq } in updates {
            let known = furthest.entry((*conversation, user)).or_default();
            *known = seq.max(known).to_owned();
        }
    }
    if furthest.is_empty() {
        return Ok(());
    }
    match conn {
        AnyConnection::Postgres(conn) => {
            let mut arrays = Arrays::default();
            for ((conversation, user), seq) in furthest {
                arrays.conversation.push(conversation.to_string());
                arrays.user.push(user.as_str());
                arrays.seq.push(seq);
            }
            arrays.execute(conn)?;
        }
        AnyConnection::Sqlite(conn) => {
            for ((conversation, user), seq) in furthest {
                let member = participants::table.find((conversation.to_string(), user.as_str()));
                diesel::update(member.filter(participants::delivered_seq.lt(seq)))
                    .set(participants::delivered_seq.eq(seq))
                    .execute(conn)?;
            }
        }
    }
    Ok(())
}

/// Progress as columns.
#[derive(Default)]
struct Arrays<'a> {
    conversation: Vec<String>,
    user: Vec<&'a str>,
    seq: Vec<i64>,
}

impl QueryFragment<Pg> for Arrays<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql("UPDATE participants SET delivered_seq = input.seq FROM unnest(");
        pass.push_bind_param::<Array<Text>, _>(&self.conversation)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.user)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.seq)?;
        pass.push_sql(
            ") AS input (conversation, user_id, seq) WHERE participants.conversation = input.conversation \
             AND participants.user_id = input.user_id AND participants.delivered_seq < input.seq",
        );
        Ok(())
    }
}

impl QueryId for Arrays<'_> {
    type QueryId = Arrays<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for Arrays<'_> {}
