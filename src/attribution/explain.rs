//! Every touch of a conversion's person with the verdict on it, worked out again from the rows by the rules that credited it. It writes
//! nothing.

use uuid::Uuid;

use super::{Considered, Weighings};
use crate::access::Scope;
use crate::base::Result;
use crate::campaigns::{self, Policies};
use crate::db::Conn;
use crate::identity::{IdentityMerge, merges_of};
use crate::journeys::{Conversion, Touch, conversions_by_id, previous_conversions, touches_around};

/// Why a conversion was credited as it was.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub conversion: Conversion,
    /// The campaign and the version of its policies that judged it.
    pub campaign_id: Uuid,
    pub policies: Policies,
    /// Every touch of the person, the oldest first; of very many those around the conversion.
    pub considered: Vec<(Touch, Considered)>,
    /// The merges by which the person came to be, undone ones too.
    pub merges: Vec<IdentityMerge>,
}

/// Explains a conversion; `None` if there is none, or if no campaign's policy judges it.
pub async fn explain(conn: &mut Conn, scope: &Scope, conversion_id: Uuid) -> Result<Option<Explanation>> {
    let Some((person_id, conversion)) = conversions_by_id(conn, scope, &[conversion_id]).await?.pop() else {
        return Ok(None);
    };
    let Some(version) = conversion.campaign_id.zip(conversion.policy_version) else { return Ok(None) };
    let Some(policies) = campaigns::policies_by_versions(conn, scope, &[version]).await?.remove(&version) else {
        return Ok(None);
    };
    let touches = touches_around(conn, scope, person_id, conversion.occurred_at).await?;
    let moment = (person_id, conversion.occurred_at);
    let previous = previous_conversions(conn, scope, &[moment]).await?;
    let journey = super::journey(&conversion, previous.get(&moment).copied());
    let mut weighings = Weighings::default();
    let (policy, model_version) = (&policies.attribution, conversion.model_version);
    weighings.learn(conn, scope, std::iter::once((policy, model_version))).await?;
    let verdicts = weighings.attribute(policy, model_version, &journey, &touches);
    let considered = touches.into_iter().zip(verdicts).collect();
    let merges = merges_of(conn, scope, person_id).await?;
    Ok(Some(Explanation { conversion, campaign_id: version.0, policies, considered, merges }))
}
