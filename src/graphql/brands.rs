//! Who is asking: the brand and the key.

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::context::to_id;
use super::keys::{ApiKey, Role};
use super::scalars::{Money, Url};
use super::{RequestContext, RequestExt};
use crate::access;
use crate::base::{self, Error, Kind};
use crate::brands;

/// The tenant whose data a key sees.
#[derive(SimpleObject, Clone, Debug)]
pub struct Brand {
    /// The identifier.
    pub id: ID,
    /// The short name in addresses and commands.
    pub slug: String,
    /// The name for people.
    pub name: String,
    /// The ISO 4217 code of the brand's own currency.
    pub currency: String,
    /// Hosts on which the destinations of campaigns and links may lie; `*.shop.example` is every host below that one. Empty: all are allowed.
    pub allowed_hosts: Vec<String>,
    /// Hosts of the brand's own under which its links stand, the one that short addresses are made with first.
    pub link_hosts: Vec<String>,
    /// The app for iPhones and iPads that invitations open, if there is one.
    pub ios_app: Option<IosApp>,
    /// The app for Android that invitations open, if there is one.
    pub android_app: Option<AndroidApp>,
    /// Whether an app's first open without a token is matched with who was sent to its store shortly before. Such a match never pays.
    pub probabilistic_claims: bool,
    /// Up to which amount within 24 hours one key may both make payouts and approve them. Payouts in other currencies always take two keys.
    pub payout_four_eyes_above: Money,
    /// Whether what senders say of events in `properties` is kept, so that reward policies can ask for it.
    pub keep_properties: bool,
}

/// An app for iPhones and iPads.
#[derive(SimpleObject, Clone, Debug)]
pub struct IosApp {
    /// Team and bundle, for example `ABCDE12345.example.shop`.
    pub app_ids: Vec<String>,
    /// The app's page on the App Store.
    pub store_url: Url,
}

/// An app for Android.
#[derive(SimpleObject, Clone, Debug)]
pub struct AndroidApp {
    /// The application id, for example `com.example.shop`.
    pub package_name: String,
    /// SHA-256 of the certificates that the app is signed with.
    pub fingerprints: Vec<String>,
}

impl Brand {
    /// The bearer's brand as it is now.
    pub async fn load(request: &RequestContext) -> base::Result<Self> {
        let mut conn = request.conn().await?;
        let brand = access::brand_by_id(&mut conn, request.scope.brand_id).await?;
        let brand = brand.ok_or_else(|| Error::fault("reading the bearer's brand", "it is gone"))?;
        let settings = brands::settings(&mut conn, &request.scope).await?;
        let home = brands::home(&mut conn, &request.scope).await?;
        Ok(Self {
            id: to_id(Kind::Brand, brand.id),
            slug: brand.slug,
            name: brand.name,
            currency: brand.currency.to_string(),
            allowed_hosts: settings.allowed_hosts,
            link_hosts: home.link_hosts,
            ios_app: settings.ios_app.map(|app| IosApp { app_ids: app.app_ids, store_url: Url(app.store_url) }),
            android_app: settings
                .android_app
                .map(|app| AndroidApp { package_name: app.package_name, fingerprints: app.fingerprints }),
            probabilistic_claims: settings.is_probabilistic,
            payout_four_eyes_above: base::Money::new(settings.four_eyes_above_minor, brand.currency).into(),
            keep_properties: settings.keeps_properties,
        })
    }
}

/// The bearer of the key.
#[derive(SimpleObject, Clone, Debug)]
pub struct Viewer {
    /// The key that was shown; null for work of the process itself.
    pub key: Option<ApiKey>,
    /// The key's role.
    pub role: Role,
    /// What the role may do, for example `READ_GROWTH`.
    pub scopes: Vec<String>,
    /// The one creator whom a key of role `creator` sees.
    pub creator_id: Option<ID>,
    /// The brand that the key belongs to.
    pub brand: Brand,
}

#[derive(Default)]
pub struct ViewerQuery;

#[Object]
impl ViewerQuery {
    /// Who is asking, and for which brand.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let request = ctx.request()?;
        let scope = &request.scope;
        let key = match scope.key_id {
            Some(id) => access::key_by_id(&mut *request.conn().await?, scope, id).await?,
            None => None,
        };
        Ok(Viewer {
            key: key.map(Into::into),
            role: scope.role.into(),
            scopes: scope.role.permissions().map(|permission| permission.as_str().to_owned()).collect(),
            creator_id: scope.creator_id.map(|id| to_id(Kind::Creator, id)),
            brand: Brand::load(request).await?,
        })
    }
}
