//! What may be asked for by whom, and every place where an identifier or a name can be passed.

use grapevine::access::Role;
use grapevine::base::Kind;

/// The roles by a letter each: Admin, Growth, Finance, fraud aNalyst, Viewer, Bot, Ingest, Creator.
pub const LETTERS: [(char, Role); 8] = [
    ('A', Role::Admin),
    ('G', Role::Growth),
    ('F', Role::Finance),
    ('N', Role::FraudAnalyst),
    ('V', Role::Viewer),
    ('B', Role::Bot),
    ('I', Role::Ingest),
    ('C', Role::Creator),
];

/// Root fields of queries and mutations: a call without effect, and the roles that it does not refuse.
pub const ALLOWED: [(&str, &str, &str); 64] = [
    ("node", "(id: \"creator_00000000000000000000000000\") { id }", "AGFNVC"),
    ("nodes", "(ids: [\"link_00000000000000000000000000\"]) { id }", "AGFNVC"),
    ("viewer", " { role }", "AGFNVBIC"),
    ("creator", "(handle: \"x\") { id }", "AGFNVC"),
    ("creators", " { nodes { id } }", "AGFNVC"),
    ("campaign", "(slug: \"x\") { id }", "AGFNVC"),
    ("campaigns", " { nodes { id } }", "AGFNVC"),
    ("member", "(externalId: \"x\") { id }", "AGFNVC"),
    ("members", " { nodes { id } }", "AGFNVC"),
    ("referralTree", "(rootId: \"member_00000000000000000000000000\") { truncated }", "AGFNV"),
    (
        "referralPath",
        "(fromId: \"member_00000000000000000000000000\", toId: \"member_00000000000000000000000000\") { hops }",
        "AGFNV",
    ),
    ("topReferrers", " { rank }", "AGFNV"),
    ("link", "(token: \"x\") { id }", "AGFNVC"),
    ("attributionRecords", " { nodes { id } }", "AGFNVC"),
    ("explainConversion", "(conversionId: \"conv_00000000000000000000000000\") { conversion { id } }", "AGFNVC"),
    (
        "attributionReport",
        "(input: {groupBy: DAY, models: [LINEAR], from: \"2026-08-01T00:00:00Z\", to: \"2026-08-02T00:00:00Z\"}) { truncated }",
        "AGFNV",
    ),
    (
        "simulateAttributionPolicy",
        "(input: {campaignId: \"campaign_00000000000000000000000000\", attribution: {}, from: \"2026-08-01T00:00:00Z\", to: \"2026-08-02T00:00:00Z\"}) { truncated }",
        "AGFNV",
    ),
    ("channelWeights", "(campaignId: \"campaign_00000000000000000000000000\") { version }", "AGFNV"),
    ("kFactorCohorts", "(from: \"2026-08-01\", to: \"2026-08-02\") { size }", "AGFNV"),
    ("rewards", " { nodes { id } }", "AGFNVC"),
    (
        "simulateRewardPolicy",
        "(input: {campaignId: \"campaign_00000000000000000000000000\", from: \"2026-08-01T00:00:00Z\", to: \"2026-08-02T00:00:00Z\"}) { activations }",
        "AGFNV",
    ),
    ("payouts", " { nodes { id } }", "AGFNVC"),
    ("fraudAlerts", " { nodes { id } }", "AGFNVB"),
    ("events", " { nodes { id } }", "AGFNV"),
    ("webhookSources", " { nodes { id } }", "A"),
    ("webhookEndpoints", " { nodes { id } }", "A"),
    ("platformHealth", " { state }", "AGFNV"),
    ("createCreator", "(input: {handle: \"\"}) { userErrors { code } }", "AG"),
    (
        "updateCreator",
        "(input: {creatorId: \"creator_00000000000000000000000000\", tier: \"x\"}) { userErrors { code } }",
        "AG",
    ),
    (
        "connectPlatformAccount",
        "(input: {creatorId: \"creator_00000000000000000000000000\", platform: TIKTOK, externalId: \"x\"}) { userErrors { code } }",
        "AG",
    ),
    ("createCampaign", "(input: {slug: \"\", name: \"\", objective: CONVERSION}) { userErrors { code } }", "AG"),
    (
        "updateCampaign",
        "(input: {campaignId: \"campaign_00000000000000000000000000\"}) { userErrors { code } }",
        "AG",
    ),
    (
        "generateLink",
        "(input: {campaignId: \"campaign_00000000000000000000000000\", memberExternalId: \"x\"}) { userErrors { code } }",
        "AG",
    ),
    ("generateLinks", "(input: {links: []}) { userErrors { code } }", "AG"),
    ("revokeLink", "(input: {linkId: \"link_00000000000000000000000000\"}) { userErrors { code } }", "AG"),
    (
        "moveMember",
        "(input: {memberId: \"member_00000000000000000000000000\", reason: \"x\", idempotencyKey: \"k\"}) { userErrors { code } }",
        "AG",
    ),
    (
        "unmergeIdentities",
        "(input: {mergeId: \"merge_00000000000000000000000000\", reason: \"x\", idempotencyKey: \"k\"}) { userErrors { code } }",
        "AG",
    ),
    ("claimLink", "(input: {token: \"x\", userId: \"u\", idempotencyKey: \"k\"}) { userErrors { code } }", "AGI"),
    (
        "issueReward",
        "(input: {campaignId: \"campaign_00000000000000000000000000\", creatorId: \"creator_00000000000000000000000000\",
            kind: CREDIT, amount: {amount: \"1\", currency: \"USD\"}, reason: \"x\", idempotencyKey: \"k\"}) { userErrors { code } }",
        "AF",
    ),
    ("releaseReward", "(input: {rewardId: \"reward_00000000000000000000000000\"}) { userErrors { code } }", "AF"),
    (
        "reverseReward",
        "(input: {rewardId: \"reward_00000000000000000000000000\", reason: \"x\"}) { userErrors { code } }",
        "AF",
    ),
    (
        "createPayout",
        "(input: {creatorId: \"creator_00000000000000000000000000\", currency: \"USD\", idempotencyKey: \"k\"}) { userErrors { code } }",
        "AF",
    ),
    ("approvePayout", "(input: {payoutId: \"payout_00000000000000000000000000\"}) { userErrors { code } }", "AF"),
    (
        "cancelPayout",
        "(input: {payoutId: \"payout_00000000000000000000000000\", reason: \"x\"}) { userErrors { code } }",
        "AF",
    ),
    (
        "markPayoutPaid",
        "(input: {payoutId: \"payout_00000000000000000000000000\", providerReference: \"x\"}) { userErrors { code } }",
        "AF",
    ),
    (
        "markPayoutFailed",
        "(input: {payoutId: \"payout_00000000000000000000000000\", reason: \"x\"}) { userErrors { code } }",
        "AF",
    ),
    ("createApiKey", "(input: {name: \"\", role: VIEWER}) { userErrors { code } }", "A"),
    ("revokeApiKey", "(input: {keyId: \"key_00000000000000000000000000\"}) { userErrors { code } }", "A"),
    ("createWebhookSource", "(input: {name: \"\"}) { userErrors { code } }", "A"),
    (
        "rotateWebhookSecret",
        "(input: {sourceId: \"source_00000000000000000000000000\"}) { userErrors { code } }",
        "A",
    ),
    ("createWebhookEndpoint", "(input: {url: \"https://x.example\", kinds: []}) { userErrors { code } }", "A"),
    (
        "updateWebhookEndpoint",
        "(input: {endpointId: \"endpoint_00000000000000000000000000\"}) { userErrors { code } }",
        "A",
    ),
    (
        "rotateWebhookEndpointSecret",
        "(input: {endpointId: \"endpoint_00000000000000000000000000\"}) { userErrors { code } }",
        "A",
    ),
    (
        "replayWebhookDeliveries",
        "(input: {endpointId: \"endpoint_00000000000000000000000000\"}) { userErrors { code } }",
        "A",
    ),
    (
        "reviewFraudAlert",
        "(input: {alertId: \"alert_00000000000000000000000000\", verdict: DISMISS, note: \"x\"}) { userErrors { code } }",
        "AN",
    ),
    ("ingestEvents", "(input: {events: []}) { userErrors { code } }", "AGI"),
    ("replayEvents", "(input: {eventIds: [], reason: \"x\"}) { userErrors { code } }", "AG"),
    ("discardEvents", "(input: {eventIds: [], reason: \"x\"}) { userErrors { code } }", "AG"),
    ("updateBrand", "(input: {allowedHosts: [\"*\"]}) { userErrors { code } }", "A"),
    ("fraudAlerts", " { cursor }", "AGFNVB"),
    ("rewards", " { cursor }", "AGFNVC"),
    ("attributionRecords", " { cursor }", "AGFNVC"),
    (
        "rewardSimulation",
        "(input: {campaignId: \"campaign_00000000000000000000000000\", from: \"2026-08-01T00:00:00Z\", to: \"2026-08-02T00:00:00Z\"}) { done }",
        "AGFNV",
    ),
    (
        "attributionSimulation",
        "(input: {campaignId: \"campaign_00000000000000000000000000\", attribution: {}, from: \"2026-08-01T00:00:00Z\", to: \"2026-08-02T00:00:00Z\"}) { done }",
        "AGFNV",
    ),
];

/// Every argument that takes an identifier: where it stands, the kinds that it takes, and a call with `ID` in its place; `CAMPAIGN` and
/// `CREATOR` are the asker's own.
pub const ARGUMENTS: [(&str, Kind, &str); 70] = [
    ("node.id", Kind::Creator, "{ node(id: \"ID\") { id __typename } }"),
    ("nodes.ids", Kind::Creator, "{ nodes(ids: [\"ID\"]) { id __typename } }"),
    ("creator.id", Kind::Creator, "{ creator(id: \"ID\") { handle } }"),
    (
        "creators.filter.campaignId",
        Kind::Campaign,
        "{ creators(filter: {campaignId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    ("campaign.id", Kind::Campaign, "{ campaign(id: \"ID\") { slug } }"),
    ("member.id", Kind::Member, "{ member(id: \"ID\") { externalId } }"),
    (
        "members.filter.campaignId",
        Kind::Campaign,
        "{ members(filter: {campaignId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    ("members.filter.creatorId", Kind::Creator, "{ members(filter: {creatorId: \"ID\"}) { totalCount nodes { id } } }"),
    ("referralTree.rootId", Kind::Member, "{ referralTree(rootId: \"ID\") { nodes { depth } } }"),
    (
        "referralTree.campaignId",
        Kind::Campaign,
        "{ referralTree(rootId: \"MEMBER\", campaignId: \"ID\") { nodes { depth } } }",
    ),
    ("referralPath.fromId", Kind::Member, "{ referralPath(fromId: \"ID\", toId: \"MEMBER\") { hops } }"),
    ("referralPath.toId", Kind::Member, "{ referralPath(fromId: \"MEMBER\", toId: \"ID\") { hops } }"),
    (
        "topReferrers.campaignId",
        Kind::Campaign,
        "{ topReferrers(campaignId: \"ID\", by: DIRECT_REFERRALS) { member { id } value { currency } } }",
    ),
    ("link.id", Kind::Link, "{ link(id: \"ID\") { token } }"),
    (
        "attributionRecords.filter.creatorId",
        Kind::Creator,
        "{ attributionRecords(filter: {creatorId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    (
        "attributionRecords.filter.campaignId",
        Kind::Campaign,
        "{ attributionRecords(filter: {campaignId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    (
        "attributionRecords.filter.memberId",
        Kind::Member,
        "{ attributionRecords(filter: {memberId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    (
        "attributionRecords.filter.conversionId",
        Kind::Conversion,
        "{ attributionRecords(filter: {conversionId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    (
        "explainConversion.conversionId",
        Kind::Conversion,
        "{ explainConversion(conversionId: \"ID\") { conversion { id } } }",
    ),
    (
        "attributionReport.input.campaignId",
        Kind::Campaign,
        "{ attributionReport(input: {groupBy: DAY, models: [LINEAR], from: \"2026-08-01T00:00:00Z\", to: \"2026-09-01T00:00:00Z\", campaignId: \"ID\"}) { conversions rows { key } } }",
    ),
    (
        "simulateRewardPolicy.input.campaignId",
        Kind::Campaign,
        "{ simulateRewardPolicy(input: {campaignId: \"ID\", from: \"2026-08-01T00:00:00Z\", to: \"2026-09-01T00:00:00Z\"}) { conversions } }",
    ),
    (
        "simulateAttributionPolicy.input.campaignId",
        Kind::Campaign,
        "{ simulateAttributionPolicy(input: {campaignId: \"ID\", attribution: {model: LINEAR}, from: \"2026-08-01T00:00:00Z\", to: \"2026-09-01T00:00:00Z\"}) { conversions rows { creator { id } } } }",
    ),
    ("channelWeights.campaignId", Kind::Campaign, "{ channelWeights(campaignId: \"ID\") { version weights { key } } }"),
    (
        "kFactorCohorts.campaignId",
        Kind::Campaign,
        "{ kFactorCohorts(campaignId: \"ID\", from: \"2026-08-01\", to: \"2026-09-01\") { size } }",
    ),
    (
        "rewards.filter.campaignId",
        Kind::Campaign,
        "{ rewards(filter: {campaignId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    ("rewards.filter.creatorId", Kind::Creator, "{ rewards(filter: {creatorId: \"ID\"}) { totalCount nodes { id } } }"),
    ("rewards.filter.memberId", Kind::Member, "{ rewards(filter: {memberId: \"ID\"}) { totalCount nodes { id } } }"),
    ("payouts.filter.creatorId", Kind::Creator, "{ payouts(filter: {creatorId: \"ID\"}) { totalCount nodes { id } } }"),
    ("payouts.filter.memberId", Kind::Member, "{ payouts(filter: {memberId: \"ID\"}) { totalCount nodes { id } } }"),
    (
        "fraudAlerts.filter.campaignId",
        Kind::Campaign,
        "{ fraudAlerts(filter: {campaignId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    (
        "fraudAlerts.filter.creatorId",
        Kind::Creator,
        "{ fraudAlerts(filter: {creatorId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    (
        "fraudAlerts.filter.memberId",
        Kind::Member,
        "{ fraudAlerts(filter: {memberId: \"ID\"}) { totalCount nodes { id } } }",
    ),
    ("events.filter.sourceId", Kind::Source, "{ events(filter: {sourceId: \"ID\"}) { totalCount nodes { id } } }"),
    (
        "updateCreator.input.creatorId",
        Kind::Creator,
        "mutation { updateCreator(input: {creatorId: \"ID\", tier: \"stolen\"}) { creator { id } userErrors { code path message } } }",
    ),
    (
        "connectPlatformAccount.input.creatorId",
        Kind::Creator,
        "mutation { connectPlatformAccount(input: {creatorId: \"ID\", platform: TIKTOK, externalId: \"stolen\"}) { creator { id } userErrors { code path message } } }",
    ),
    (
        "updateCampaign.input.campaignId",
        Kind::Campaign,
        "mutation { updateCampaign(input: {campaignId: \"ID\", name: \"stolen\"}) { campaign { id } userErrors { code path message } } }",
    ),
    (
        "generateLink.input.campaignId",
        Kind::Campaign,
        "mutation { generateLink(input: {campaignId: \"ID\", creatorId: \"CREATOR\"}) { link { id } userErrors { code path message } } }",
    ),
    (
        "generateLink.input.creatorId",
        Kind::Creator,
        "mutation { generateLink(input: {campaignId: \"CAMPAIGN\", creatorId: \"ID\"}) { link { id } userErrors { code path message } } }",
    ),
    (
        "generateLink.input.memberId",
        Kind::Member,
        "mutation { generateLink(input: {campaignId: \"CAMPAIGN\", memberId: \"ID\"}) { link { id } userErrors { code path message } } }",
    ),
    (
        "generateLinks.input.links.campaignId",
        Kind::Campaign,
        "mutation { generateLinks(input: {links: [{campaignId: \"ID\", creatorId: \"CREATOR\"}]}) { links { id } userErrors { code path message } } }",
    ),
    (
        "generateLinks.input.links.creatorId",
        Kind::Creator,
        "mutation { generateLinks(input: {links: [{campaignId: \"CAMPAIGN\", creatorId: \"ID\"}]}) { links { id } userErrors { code path message } } }",
    ),
    (
        "generateLinks.input.links.memberId",
        Kind::Member,
        "mutation { generateLinks(input: {links: [{campaignId: \"CAMPAIGN\", memberId: \"ID\"}]}) { links { id } userErrors { code path message } } }",
    ),
    (
        "revokeLink.input.linkId",
        Kind::Link,
        "mutation { revokeLink(input: {linkId: \"ID\"}) { link { id } userErrors { code path message } } }",
    ),
    (
        "moveMember.input.memberId",
        Kind::Member,
        "mutation { moveMember(input: {memberId: \"ID\", reason: \"x\", idempotencyKey: \"ID\"}) { member { id } userErrors { code path message } } }",
    ),
    (
        "moveMember.input.newReferrerId",
        Kind::Member,
        "mutation { moveMember(input: {memberId: \"MEMBER\", newReferrerId: \"ID\", reason: \"x\", idempotencyKey: \"ID\"}) { member { id } userErrors { code path message } } }",
    ),
    (
        "unmergeIdentities.input.mergeId",
        Kind::Merge,
        "mutation { unmergeIdentities(input: {mergeId: \"ID\", reason: \"x\", idempotencyKey: \"ID\"}) { merge { id } userErrors { code path message } } }",
    ),
    (
        "issueReward.input.campaignId",
        Kind::Campaign,
        "mutation { issueReward(input: {campaignId: \"ID\", creatorId: \"CREATOR\", kind: CREDIT, amount: {amount: \"1\", currency: \"USD\"}, reason: \"x\", idempotencyKey: \"ID\"}) { reward { id } userErrors { code path message } } }",
    ),
    (
        "issueReward.input.creatorId",
        Kind::Creator,
        "mutation { issueReward(input: {campaignId: \"CAMPAIGN\", creatorId: \"ID\", kind: CREDIT, amount: {amount: \"1\", currency: \"USD\"}, reason: \"x\", idempotencyKey: \"ID\"}) { reward { id } userErrors { code path message } } }",
    ),
    (
        "issueReward.input.memberId",
        Kind::Member,
        "mutation { issueReward(input: {campaignId: \"CAMPAIGN\", memberId: \"ID\", kind: CREDIT, amount: {amount: \"1\", currency: \"USD\"}, reason: \"x\", idempotencyKey: \"ID\"}) { reward { id } userErrors { code path message } } }",
    ),
    (
        "releaseReward.input.rewardId",
        Kind::Reward,
        "mutation { releaseReward(input: {rewardId: \"ID\"}) { reward { id } userErrors { code path message } } }",
    ),
    (
        "reverseReward.input.rewardId",
        Kind::Reward,
        "mutation { reverseReward(input: {rewardId: \"ID\", reason: \"x\"}) { reward { id } userErrors { code path message } } }",
    ),
    (
        "createPayout.input.creatorId",
        Kind::Creator,
        "mutation { createPayout(input: {creatorId: \"ID\", currency: \"USD\", idempotencyKey: \"ID\"}) { payout { id } userErrors { code path message } } }",
    ),
    (
        "createPayout.input.memberId",
        Kind::Member,
        "mutation { createPayout(input: {memberId: \"ID\", currency: \"USD\", idempotencyKey: \"ID\"}) { payout { id } userErrors { code path message } } }",
    ),
    (
        "approvePayout.input.payoutId",
        Kind::Payout,
        "mutation { approvePayout(input: {payoutId: \"ID\"}) { payout { id } userErrors { code path message } } }",
    ),
    (
        "cancelPayout.input.payoutId",
        Kind::Payout,
        "mutation { cancelPayout(input: {payoutId: \"ID\", reason: \"x\"}) { payout { id } userErrors { code path message } } }",
    ),
    (
        "markPayoutPaid.input.payoutId",
        Kind::Payout,
        "mutation { markPayoutPaid(input: {payoutId: \"ID\", providerReference: \"x\"}) { payout { id } userErrors { code path message } } }",
    ),
    (
        "markPayoutFailed.input.payoutId",
        Kind::Payout,
        "mutation { markPayoutFailed(input: {payoutId: \"ID\", reason: \"x\"}) { payout { id } userErrors { code path message } } }",
    ),
    (
        "createApiKey.input.creatorId",
        Kind::Creator,
        "mutation { createApiKey(input: {name: \"x\", role: CREATOR, creatorId: \"ID\"}) { apiKey { id } userErrors { code path message } } }",
    ),
    (
        "revokeApiKey.input.keyId",
        Kind::Key,
        "mutation { revokeApiKey(input: {keyId: \"ID\"}) { apiKey { id } userErrors { code path message } } }",
    ),
    (
        "rotateWebhookSecret.input.sourceId",
        Kind::Source,
        "mutation { rotateWebhookSecret(input: {sourceId: \"ID\"}) { secret source { id } userErrors { code path message } } }",
    ),
    (
        "updateWebhookEndpoint.input.endpointId",
        Kind::Endpoint,
        "mutation { updateWebhookEndpoint(input: {endpointId: \"ID\", enabled: false}) { endpoint { id } userErrors { code path message } } }",
    ),
    (
        "rotateWebhookEndpointSecret.input.endpointId",
        Kind::Endpoint,
        "mutation { rotateWebhookEndpointSecret(input: {endpointId: \"ID\"}) { secret endpoint { id } userErrors { code path message } } }",
    ),
    (
        "replayWebhookDeliveries.input.endpointId",
        Kind::Endpoint,
        "mutation { replayWebhookDeliveries(input: {endpointId: \"ID\"}) { replay { queued } userErrors { code path message } } }",
    ),
    (
        "reviewFraudAlert.input.alertId",
        Kind::Alert,
        "mutation { reviewFraudAlert(input: {alertId: \"ID\", verdict: CONFIRM, note: \"x\"}) { fraudAlert { id } userErrors { code path message } } }",
    ),
    (
        "ingestEvents.input.events.creatorId",
        Kind::Creator,
        "mutation { ingestEvents(input: {events: [{eventType: \"click\", creatorId: \"ID\", anonymousId: \"x\"}]}) { results { status code reason } } }",
    ),
    (
        "replayEvents.input.eventIds",
        Kind::Event,
        "mutation { replayEvents(input: {eventIds: [\"ID\"], reason: \"x\"}) { replay { queued unchanged } userErrors { code path message } } }",
    ),
    (
        "replayEvents.input.filter.sourceId",
        Kind::Source,
        "mutation { replayEvents(input: {filter: {sourceId: \"ID\"}, reason: \"x\"}) { replay { queued unchanged } userErrors { code path message } } }",
    ),
    (
        "discardEvents.input.eventIds",
        Kind::Event,
        "mutation { discardEvents(input: {eventIds: [\"ID\"], reason: \"x\"}) { discard { discarded unchanged } userErrors { code path message } } }",
    ),
    (
        "discardEvents.input.filter.sourceId",
        Kind::Source,
        "mutation { discardEvents(input: {filter: {sourceId: \"ID\"}, reason: \"x\"}) { discard { discarded unchanged } userErrors { code path message } } }",
    ),
    (
        "ingestEvents.input.events.campaign",
        Kind::Campaign,
        "mutation { ingestEvents(input: {events: [{eventType: \"click\", campaign: \"ID\", anonymousId: \"x\"}]}) { results { status code reason } } }",
    ),
];

/// The same for names: what is there in the first brand, and the call.
pub const NAMES: [(&str, &str); 9] = [
    ("creator1", "{ creator(handle: \"ID\") { id } }"),
    ("launch", "{ campaign(slug: \"ID\") { id } }"),
    ("ann", "{ member(externalId: \"ID\") { id } }"),
    ("link-1", "{ link(token: \"ID\") { id } }"),
    (
        "link-1",
        "mutation { claimLink(input: {token: \"ID\", userId: \"u\", idempotencyKey: \"ID\"}) { link { id } userErrors { code path message } } }",
    ),
    (
        "link-1",
        "mutation { ingestEvents(input: {events: [{eventType: \"click\", linkToken: \"ID\"}]}) { results { status code reason } } }",
    ),
    (
        "creator1",
        "mutation { ingestEvents(input: {events: [{eventType: \"click\", creatorId: \"ID\"}]}) { results { status code reason } } }",
    ),
    (
        "launch",
        "mutation { ingestEvents(input: {events: [{eventType: \"click\", campaign: \"ID\"}]}) { results { status code reason } } }",
    ),
    ("creator1", "{ creators(filter: {search: \"ID\"}) { totalCount } }"),
];
