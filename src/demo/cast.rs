//! Who takes part: creators with their accounts, campaigns with their policies, and a link of each creator for each campaign.

use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::store;
use crate::access::{Brand, NewApiKey, Role, Scope, create_key};
use crate::app::App;
use crate::base::{Env, Error, Kind, Money, Result};
use crate::campaigns::{
    self, AttributionModel, CampaignObjective, CampaignStatus, NewCampaign, PoliciesDraft, RewardKind, TierDraft,
};
use crate::creators::{self, NewCreator, NewPlatformAccount, Platform};
use crate::db::Conn;
use crate::links::{self, NewLink, NewOwner, NewUtm};

/// The lifetime of the demo's links.
const LINK_TTL_SECONDS: i64 = 365 * 24 * 3_600;

const CREATORS: [(&str, &str, &str); 20] = [
    ("maya.moves", "Maya Moves", "gold"),
    ("leo_cooks", "Leo Cooks", "gold"),
    ("nina-builds", "Nina Builds", "gold"),
    ("theo.trails", "Theo Trails", "gold"),
    ("ava_reads", "Ava Reads", "silver"),
    ("omar.runs", "Omar Runs", "silver"),
    ("ines-paints", "Ines Paints", "silver"),
    ("kofi_codes", "Kofi Codes", "silver"),
    ("lena.lifts", "Lena Lifts", "silver"),
    ("ravi_rides", "Ravi Rides", "silver"),
    ("sofia-sews", "Sofia Sews", "bronze"),
    ("jonas.jams", "Jonas Jams", "bronze"),
    ("aiko_bakes", "Aiko Bakes", "bronze"),
    ("diego.dives", "Diego Dives", "bronze"),
    ("emma-edits", "Emma Edits", "bronze"),
    ("noah_knits", "Noah Knits", "bronze"),
    ("zara.zooms", "Zara Zooms", "bronze"),
    ("finn_films", "Finn Films", "bronze"),
    ("lucia-lives", "Lucia Lives", "bronze"),
    ("quinn.quiz", "Quinn Quiz", "bronze"),
];

const PLATFORMS: [Platform; 4] = [Platform::Instagram, Platform::Tiktok, Platform::Youtube, Platform::Web];

/// One link that the story may use.
#[derive(Clone, Debug)]
pub(super) struct CastLink {
    pub token: String,
    pub platform: Platform,
    /// Index into [`Cast::campaigns`].
    pub campaign: usize,
}

/// Everyone and everything that the story speaks of.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub key: String,
    /// Slugs of the campaigns that run.
    pub campaigns: Vec<String>,
    /// Per creator: their links, one per running campaign.
    pub links: Vec<Vec<CastLink>>,
}

pub(super) async fn make(app: &App, brand: &Brand) -> Result<Cast> {
    let (scope, env) = (&brand.scope(), &app.env);
    let key = app.db.transaction(|conn| async move { make_key(conn, scope, env).await }.scope_boxed()).await?;
    let creators = app.db.transaction(|conn| async move { make_creators(conn, scope, env).await }.scope_boxed());
    let creators = &creators.await?;
    let campaigns = app.db.transaction(|conn| async move { make_campaigns(conn, scope, env).await }.scope_boxed());
    let campaigns = &campaigns.await?;
    let links =
        app.db.transaction(|conn| async move { make_links(conn, scope, app, creators, campaigns).await }.scope_boxed());
    let links = links.await?;
    Ok(Cast { key, campaigns: campaigns.iter().map(|(_, slug)| slug.clone()).collect(), links })
}

async fn make_key(conn: &mut Conn, scope: &Scope, env: &Env) -> Result<String> {
    let input = NewApiKey { name: "demo".to_owned(), role: Role::Admin, creator_id: None, expires_at: None };
    Ok(create_key(conn, scope, env, input).await?.1)
}

/// The creators; one in five has no verified account.
async fn make_creators(conn: &mut Conn, scope: &Scope, env: &Env) -> Result<Vec<Uuid>> {
    let (mut ids, mut verified) = (Vec::new(), Vec::new());
    for (index, (handle, name, tier)) in CREATORS.into_iter().enumerate() {
        let input =
            NewCreator { handle: handle.to_owned(), display_name: Some(name.to_owned()), tier: Some(tier.to_owned()) };
        let id = creators::create(conn, scope, env, &input).await?;
        for (place, platform) in PLATFORMS.into_iter().take(3).enumerate() {
            let followers = 250_000 / (i32::try_from(index + place).unwrap_or(0) + 1);
            let account = NewPlatformAccount {
                creator_id: id,
                platform,
                external_id: format!("{handle}-{}", platform.as_str().to_lowercase()),
                username: Some(handle.to_owned()),
                follower_count: Some(followers),
            };
            creators::connect_account(conn, scope, env, &account).await?;
        }
        if index % 5 != 4 {
            verified.push(id);
        }
        ids.push(id);
    }
    store::verify_accounts(conn, scope, &verified, env.now()).await?;
    Ok(ids)
}

struct Plan {
    slug: &'static str,
    name: &'static str,
    objective: CampaignObjective,
    status: CampaignStatus,
    budget_minor: Option<i64>,
    model: AttributionModel,
    kind: RewardKind,
    /// Degree, minor units per activation, millionths of each conversion.
    tiers: &'static [(i32, Option<i64>, Option<i32>)],
    referee_minor: Option<i64>,
}

const PLANS: [Plan; 6] = [
    Plan {
        slug: "refer-a-friend",
        name: "Refer a friend",
        objective: CampaignObjective::Conversion,
        status: CampaignStatus::Active,
        budget_minor: Some(15_000_000),
        model: AttributionModel::WeightedLastTouch,
        kind: RewardKind::Credit,
        tiers: &[(1, Some(1_000), None), (2, Some(300), None), (3, Some(100), None)],
        referee_minor: Some(500),
    },
    Plan {
        slug: "creator-club",
        name: "Creator club",
        objective: CampaignObjective::Awareness,
        status: CampaignStatus::Active,
        budget_minor: None,
        model: AttributionModel::Linear,
        kind: RewardKind::Commission,
        tiers: &[(1, None, Some(100_000)), (2, None, Some(20_000))],
        referee_minor: None,
    },
    Plan {
        slug: "spring-launch",
        name: "Spring launch",
        objective: CampaignObjective::Consideration,
        status: CampaignStatus::Active,
        budget_minor: Some(500_000),
        model: AttributionModel::LastTouch,
        kind: RewardKind::Credit,
        tiers: &[(1, Some(1_500), None)],
        referee_minor: Some(1_000),
    },
    Plan {
        slug: "summer-sale",
        name: "Summer sale",
        objective: CampaignObjective::Conversion,
        status: CampaignStatus::Active,
        budget_minor: None,
        model: AttributionModel::FirstTouch,
        kind: RewardKind::Credit,
        tiers: &[],
        referee_minor: None,
    },
    Plan {
        slug: "podcast",
        name: "Podcast sponsorships",
        objective: CampaignObjective::Awareness,
        status: CampaignStatus::Paused,
        budget_minor: None,
        model: AttributionModel::Linear,
        kind: RewardKind::Commission,
        tiers: &[(1, None, Some(50_000))],
        referee_minor: None,
    },
    Plan {
        slug: "winter-warmup",
        name: "Winter warm-up",
        objective: CampaignObjective::Consideration,
        status: CampaignStatus::Draft,
        budget_minor: Some(1_000_000),
        model: AttributionModel::LastTouch,
        kind: RewardKind::Credit,
        tiers: &[(1, Some(1_000), None)],
        referee_minor: Some(1_000),
    },
];

/// The campaigns; returns those that run, with their slugs.
async fn make_campaigns(conn: &mut Conn, scope: &Scope, env: &Env) -> Result<Vec<(Uuid, String)>> {
    let mut running = Vec::new();
    for plan in &PLANS {
        let money = |minor: i64| Money::new(minor, scope.currency);
        let mut policies = PoliciesDraft::default();
        policies.attribution.model = Some(plan.model);
        policies.reward.kind = Some(plan.kind);
        policies.reward.referee = Some(plan.referee_minor.map(money));
        let tier = |(degree, amount, share_ppm): &(i32, Option<i64>, Option<i32>)| TierDraft {
            degree: *degree,
            amount: amount.map(money),
            share_ppm: *share_ppm,
            activation_value_min: None,
            cohort_value_min: None,
        };
        policies.reward.tiers = Some(plan.tiers.iter().map(tier).collect());
        let input = NewCampaign {
            slug: plan.slug.to_owned(),
            name: plan.name.to_owned(),
            objective: plan.objective,
            status: plan.status,
            starts_at: None,
            ends_at: None,
            budget: plan.budget_minor.map(money),
            destination_url: Some(format!("https://demo.example/{}", plan.slug)),
            policies,
        };
        let id = campaigns::create(conn, scope, env, &input).await?;
        if plan.status == CampaignStatus::Active {
            running.push((id, plan.slug.to_owned()));
        }
    }
    Ok(running)
}

async fn make_links(
    conn: &mut Conn,
    scope: &Scope,
    app: &App,
    creators: &[Uuid],
    campaigns: &[(Uuid, String)],
) -> Result<Vec<Vec<CastLink>>> {
    let pairs: Vec<(usize, usize)> =
        (0..creators.len()).flat_map(|creator| (0..campaigns.len()).map(move |campaign| (creator, campaign))).collect();
    let platform = |creator: usize, campaign: usize| PLATFORMS[(creator + campaign) % PLATFORMS.len()];
    let inputs: Vec<NewLink> = pairs
        .iter()
        .map(|(creator, campaign)| NewLink {
            campaign_id: campaigns[*campaign].0,
            owner: NewOwner::Creator(creators[*creator]),
            platform: platform(*creator, *campaign),
            sub_id: None,
            destination_url: None,
            ios_url: None,
            android_url: None,
            slug: None,
            utm: NewUtm::default(),
            is_single_use: false,
            ttl_seconds: Some(LINK_TTL_SECONDS),
        })
        .collect();
    let ids = links::generate(conn, scope, &app.env, &app.keyring, &inputs, Some("links")).await?;
    let made = links::by_ids(conn, scope, &ids).await?;
    let mut found = vec![Vec::new(); creators.len()];
    for ((creator, campaign), id) in pairs.into_iter().zip(ids) {
        let link = made.get(&id).ok_or_else(|| Error::fault("reading a link of the demo", Kind::Link.id(id)))?;
        found[creator].push(CastLink { token: link.token.clone(), platform: link.platform, campaign });
    }
    Ok(found)
}
