//! The GraphQL door: types, resolvers and loaders over the verbs of the other modules. It never holds a rule and never speaks
//! SQL. Start with [`schema`]; `context.rs` is what a resolver has in hand, `errors.rs` what a caller is shown.

pub mod connection;
pub mod context;
pub mod errors;
pub mod limits;
pub mod loaders;
pub mod run;
pub mod scalars;

mod attribution;
mod batches;
mod brand_changes;
mod brands;
mod campaign_changes;
mod campaigns;
mod channel_weights;
mod claims;
mod cohorts;
mod creator_changes;
mod creators;
mod downlines;
mod enums;
mod forest;
mod keys;
mod event_changes;
mod events;
mod fraud;
mod identities;
mod ingest;
mod journeys;
mod link_changes;
mod links;
mod member_changes;
mod members;
mod node;
mod payout_changes;
mod payouts;
mod platforms;
mod policies;
mod reports;
mod reward_changes;
mod reward_simulations;
mod rewards;
mod scan;
mod simulations;
mod subscriptions;
mod trials;
mod webhook_endpoint_changes;
mod webhook_endpoints;
mod webhook_sources;

use async_graphql::{MergedObject, SDLExportOptions};

use chrono::{DateTime, Utc};

use crate::app::App;
use crate::base::limits::{GRAPHQL_BRACKETS_MAX, GRAPHQL_COST_MAX, GRAPHQL_DEPTH_MAX, GRAPHQL_DIRECTIVES_MAX};

pub use brands::{Brand, Viewer};
pub use campaigns::Campaign;
pub use context::{RequestContext, RequestExt};
pub use creators::Creator;
pub use enums::{AttributionModel, Channel, DataDrivenMethod, PathTransform, Platform, RewardKind};
pub use links::{Link, LinkOwner};
pub use members::Member;
pub use node::Node;
pub use subscriptions::Subscription;

const MOMENT: &str = "A moment as RFC 3339 writes it, for example `2026-03-01T12:00:00Z`. Answers are in UTC.";

/// The executable schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// Everything that can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    node::NodeQuery,
    brands::ViewerQuery,
    creators::CreatorQuery,
    campaigns::CampaignQuery,
    members::MemberQuery,
    forest::ForestQuery,
    links::LinkQuery,
    attribution::AttributionQuery,
    reports::ReportQuery,
    simulations::SimulationQuery,
    channel_weights::ChannelWeightQuery,
    cohorts::CohortQuery,
    rewards::RewardQuery,
    reward_simulations::RewardSimulationQuery,
    payouts::PayoutQuery,
    fraud::FraudQuery,
    events::EventQuery,
    webhook_sources::WebhookSourceQuery,
    webhook_endpoints::WebhookEndpointQuery,
    platforms::PlatformQuery,
);

/// Everything that can be changed. Each field takes one `input`; what the caller can get wrong comes back in `userErrors`.
#[derive(MergedObject, Default)]
pub struct Mutation(
    creator_changes::CreatorMutation,
    campaign_changes::CampaignMutation,
    link_changes::LinkMutation,
    member_changes::MemberMutation,
    identities::IdentityMutation,
    claims::ClaimMutation,
    reward_changes::RewardMutation,
    payout_changes::PayoutMutation,
    keys::KeyMutation,
    webhook_sources::WebhookSourceMutation,
    webhook_endpoint_changes::WebhookEndpointMutation,
    fraud::FraudMutation,
    ingest::IngestMutation,
    event_changes::EventMutation,
    brand_changes::BrandMutation,
);

/// The schema of a running process, with every limit set. Each request brings its own [`RequestContext`] as data.
#[must_use]
pub fn schema(app: App) -> Schema {
    builder().data(app).finish()
}

/// The schema's text, as `schema.graphql` holds it.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new())
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .limit_depth(GRAPHQL_DEPTH_MAX)
        .limit_recursive_depth(GRAPHQL_BRACKETS_MAX)
        .limit_complexity(GRAPHQL_COST_MAX)
        .limit_directives(GRAPHQL_DIRECTIVES_MAX)
        .override_output_type_description::<DateTime<Utc>>(MOMENT)
        .disable_suggestions()
        .extension(errors::Reveal)
        .extension(limits::Limits)
}
