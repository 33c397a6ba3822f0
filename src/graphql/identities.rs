//! Merges of identities in the API: which there were, and how one is undone.

use async_graphql::{Context, ID, InputObject, InputType, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;

use super::context::{parse_id, to_id};
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Error, Kind};
use crate::identity::{self, Undoing, merge_by_id};
use crate::{payload, worker};

/// Two histories that an event showed to be one person's.
#[derive(SimpleObject, Clone, Debug)]
pub struct IdentityMerge {
    /// The identifier, for `unmergeIdentities`.
    id: ID,
    /// The event that carried identifiers of both.
    event_id: ID,
    /// When they were joined.
    merged_at: DateTime<Utc>,
    /// When somebody undid it; null while they are one.
    undone_at: Option<DateTime<Utc>>,
}

impl From<identity::IdentityMerge> for IdentityMerge {
    fn from(merge: identity::IdentityMerge) -> Self {
        Self {
            id: to_id(Kind::Merge, merge.id),
            event_id: to_id(Kind::Event, merge.event_id),
            merged_at: merge.merged_at,
            undone_at: merge.undone_at,
        }
    }
}

/// A merge that is to be undone.
#[derive(InputObject, Clone, Debug)]
pub struct UnmergeIdentitiesInput {
    /// The merge, as `explainConversion` lists it.
    merge_id: ID,
    /// Why, in 1 to 500 bytes. It is kept with who asked, and when.
    reason: String,
    /// The same key is the same request: a replay returns the first result.
    idempotency_key: String,
}

payload! {
    /// The outcome of `unmergeIdentities`.
    UnmergeIdentitiesPayload {
        /// The merge, which is undone.
        merge: IdentityMerge
    }
}

#[derive(Default)]
pub struct IdentityMutation;

#[Object]
impl IdentityMutation {
    /// Makes two people again of two who were taken for one, and credits every conversion of both anew: records are superseded, and the ledger moves
    /// by the difference. What was recorded while they were one stays with the one that it was recorded with. No event joins these two
    /// again. CONFLICT where it was undone before.
    async fn unmerge_identities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The merge, and why it is undone.")] input: UnmergeIdentitiesInput,
    ) -> Result<UnmergeIdentitiesPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteGrowth)?;
        UnmergeIdentitiesPayload::of(run_unmerge(request, input).await)
    }
}

async fn run_unmerge(request: &RequestContext, input: UnmergeIdentitiesInput) -> base::Result<identity::IdentityMerge> {
    let arguments = input.to_value();
    let id = parse_id(Kind::Merge, &input.merge_id, &["mergeId"])?;
    let undoing = &Undoing { merge_id: id, reason: input.reason };
    let (scope, env) = (&request.scope, &request.app.env);
    let done = request.once("unmergeIdentities", Some(input.idempotency_key.as_str()), &arguments, |conn| {
        async move { worker::unmerge(conn, scope, env, undoing).await }.scope_boxed()
    });
    done.await?;
    let found = merge_by_id(&mut *request.conn().await?, scope, id).await?;
    found.ok_or_else(|| Error::fault("reading a merge back", "it is gone"))
}
