//! Mutations of members: a move.

use async_graphql::{Context, ID, InputObject, InputType, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;

use super::context::{parse_id, parse_id_opt};
use super::creators::to_int;
use super::members::Member;
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Error, Kind};
use crate::members::{self, NewPlace, move_member};
use crate::payload;

/// A member and its new place in the forest.
#[derive(InputObject, Clone, Debug)]
pub struct MoveMemberInput {
    /// The member that moves, with everyone below it.
    member_id: ID,
    /// The member below which it stands from now on; null makes it the root of a tree of its own.
    new_referrer_id: Option<ID>,
    /// Why, in 1 to 500 bytes.
    reason: String,
    /// The same key is the same move: a replay returns the first result.
    idempotency_key: String,
}

payload! {
    /// The outcome of `moveMember`.
    MoveMemberPayload {
        /// The member in its new place.
        member: Member
    }
}

#[derive(Default)]
pub struct MemberMutation;

#[Object]
impl MemberMutation {
    /// Hangs a member below another referrer, with its whole subtree. Rewards and attribution that were given before stay as they are;
    /// what follows uses the new place. CYCLE where the new referrer stands below the member.
    async fn move_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member and its new place.")] input: MoveMemberInput,
    ) -> Result<MoveMemberPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteGrowth)?;
        MoveMemberPayload::of(run_move(request, input).await)
    }
}

async fn run_move(request: &RequestContext, input: MoveMemberInput) -> base::Result<members::Member> {
    let arguments = input.to_value();
    let place = &NewPlace {
        member_id: parse_id(Kind::Member, &input.member_id, &["memberId"])?,
        referrer_id: parse_id_opt(Kind::Member, input.new_referrer_id.as_ref(), &["newReferrerId"])?,
        reason: input.reason,
    };
    let (scope, env) = (&request.scope, &request.app.env);
    let moved = request.once("moveMember", Some(input.idempotency_key.as_str()), &arguments, |conn| {
        async move { move_member(conn, scope, env, place).await }.scope_boxed()
    });
    moved.await?;
    let id = place.member_id;
    let found = members::by_ids(&mut *request.conn().await?, scope, &[id]).await?.remove(&id);
    found.ok_or_else(|| Error::fault("reading a member back", "it is gone"))
}

/// A move that was made by hand.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct MemberMove {
    #[graphql(skip)]
    made: members::MemberMove,
    /// Why it was made.
    reason: String,
    /// When it was made.
    moved_at: DateTime<Utc>,
    /// How many members moved: the member and everyone who stood below it.
    moved_members: i32,
}

impl From<members::MemberMove> for MemberMove {
    fn from(made: members::MemberMove) -> Self {
        Self {
            reason: made.reason.clone(),
            moved_at: made.moved_at,
            moved_members: to_int(made.moved_member_count),
            made,
        }
    }
}

#[async_graphql::ComplexObject]
impl MemberMove {
    /// The referrer before; null where the member was a root.
    async fn previous_referrer(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        end(ctx, self.made.from_referrer_id).await
    }

    /// The referrer from then on; null where the member became a root.
    async fn new_referrer(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        end(ctx, self.made.to_referrer_id).await
    }
}

async fn end(ctx: &Context<'_>, id: Option<uuid::Uuid>) -> Result<Option<Member>> {
    match id {
        Some(id) => Ok(Some(Member(ctx.request()?.loaders.members.require(id).await?))),
        None => Ok(None),
    }
}
