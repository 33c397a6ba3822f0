//! Closed sets that several types show. Each mirrors the set of a module below, less what does not work yet.

use async_graphql::Enum;

/// Where a link is shared or an account lives.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "crate::creators::Platform")]
pub enum Platform {
    /// A web site.
    Web,
    /// An iOS app.
    Ios,
    /// An Android app.
    Android,
    /// Instagram.
    Instagram,
    /// TikTok.
    Tiktok,
    /// YouTube.
    Youtube,
    /// Shopify.
    Shopify,
    /// Stripe.
    Stripe,
    /// Branch.
    Branch,
    /// AppsFlyer.
    Appsflyer,
    /// Anything else.
    Other,
}

/// A channel group, by the default rules of Google Analytics 4.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "crate::urls::Channel")]
pub enum Channel {
    /// The address was typed in, or says that nothing led there.
    Direct,
    /// An advertisement over several networks.
    CrossNetwork,
    /// A paid place on a shopping site, or a paid campaign for a shop.
    PaidShopping,
    /// A paid place on a search engine.
    PaidSearch,
    /// A paid place on a social network.
    PaidSocial,
    /// A paid place on a video site.
    PaidVideo,
    /// A display advertisement.
    Display,
    /// Any other paid place.
    PaidOther,
    /// A shopping site, or a campaign for a shop.
    OrganicShopping,
    /// A social network.
    OrganicSocial,
    /// A video site.
    OrganicVideo,
    /// A search engine.
    OrganicSearch,
    /// A link on another site or in an app, or a member's invitation.
    Referral,
    /// A mail.
    Email,
    /// A partner's site.
    Affiliates,
    /// Something that is listened to.
    Audio,
    /// A text message.
    Sms,
    /// A notification on a phone.
    MobilePush,
    /// A source and medium that no rule knows.
    Unassigned,
}

/// How the credit of a conversion is divided over its touches.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[graphql(remote = "crate::campaigns::AttributionModel")]
pub enum AttributionModel {
    /// The first touch takes all.
    FirstTouch,
    /// The last touch takes all.
    LastTouch,
    /// Every touch takes the same.
    Linear,
    /// A touch takes half of what one takes that is younger by the policy's half-life.
    TimeDecay,
    /// The first and the last touch take 40 % each, the ones between them share the rest equally; of two, each takes half.
    PositionBased,
    /// The last touch takes the policy's share, the ones before it share the rest equally.
    WeightedLastTouch,
    /// Touches share by what their channels are worth over the paths of everybody: under a policy as the worker computed it last before the
    /// conversion was judged, in a report over the paths of its time.
    DataDriven,
}

/// How paths say what a channel is worth, under DATA_DRIVEN.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "crate::campaigns::DataDrivenMethod")]
pub enum DataDrivenMethod {
    /// By the share of conversions that is lost without the channel: removal effects in a Markov chain of order 1.
    Markov,
    /// By the channel's part of all conversions, where each touch of a path has what the path would lose without it.
    Shapley,
}

/// What is done to every path before paths are compared, under DATA_DRIVEN.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "crate::campaigns::PathTransform")]
pub enum PathTransform {
    /// Nothing: every touch is one of its own.
    AsIs,
    /// One touch of several in a row on the same channel: A A B A becomes A B A.
    Unique,
    /// Only the first touch of each channel: A A B A becomes A B.
    First,
}

/// What a reward is.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "crate::campaigns::RewardKind")]
pub enum RewardKind {
    /// Money that the beneficiary can be paid.
    Credit,
    /// A discount of this amount, redeemed outside.
    Discount,
    /// A feature of this value, unlocked outside.
    FeatureUnlock,
    /// A share of a sale, in money.
    Commission,
}
