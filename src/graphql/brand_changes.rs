//! Mutations of the brand's own settings.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result};
use scoped_futures::ScopedFutureExt;

use super::campaign_changes::to_change;
use super::scalars::{MoneyInput, Url};
use super::{Brand, RequestContext, RequestExt};
use crate::brands::{self, BrandChange};
use crate::{base, payload};

/// What changes of the brand's settings; what is left out stays.
#[derive(InputObject, Clone, Debug)]
pub struct UpdateBrandInput {
    /// All hosts on which the destinations of campaigns and links may lie, at most 100; `*.shop.example` is every host below that one. An
    /// empty list allows all. Links that lead elsewhere stop to lead on within five minutes.
    allowed_hosts: Option<Vec<String>>,
    /// All hosts of the brand's own under which its links stand, at most 20, each led to this installation. Short addresses are made with
    /// the first one.
    link_hosts: Option<Vec<String>>,
    /// The app for iPhones and iPads that invitations open; null takes it away.
    ios_app: MaybeUndefined<IosAppInput>,
    /// The app for Android that invitations open; null takes it away.
    android_app: MaybeUndefined<AndroidAppInput>,
    /// Whether an app's first open without a token is matched with who was sent to its store within the last 30 minutes, by network and kind
    /// of device. Such a match is recorded, and never pays. Off unless you say otherwise.
    probabilistic_claims: Option<bool>,
    /// Up to which amount within 24 hours, in the brand's own currency, one key may both make payouts and approve them; zero, as for a brand
    /// that never said otherwise, takes two keys for each.
    payout_four_eyes_above: Option<MoneyInput>,
    /// Whether what senders say of events in `properties` is kept from now on, so that reward policies can ask for it: texts, numbers and
    /// booleans of at most 255 bytes under names of at most 64. Off unless you say otherwise; send nothing personal in them.
    keep_properties: Option<bool>,
}

/// An app for iPhones and iPads.
#[derive(InputObject, Clone, Debug)]
pub struct IosAppInput {
    /// Team and bundle, for example `ABCDE12345.example.shop`; 1 to 10.
    app_ids: Vec<String>,
    /// The app's page on the App Store, for example `https://apps.apple.com/app/id123456789`.
    store_url: Url,
}

/// An app for Android.
#[derive(InputObject, Clone, Debug)]
pub struct AndroidAppInput {
    /// The application id, for example `com.example.shop`.
    package_name: String,
    /// SHA-256 of the certificates that the app is signed with, 1 to 10: pairs of hexadecimal digits in upper case, parted by colons.
    fingerprints: Vec<String>,
}

impl From<IosAppInput> for brands::IosApp {
    fn from(app: IosAppInput) -> Self {
        Self { app_ids: app.app_ids, store_url: app.store_url.0 }
    }
}

impl From<AndroidAppInput> for brands::AndroidApp {
    fn from(app: AndroidAppInput) -> Self {
        Self { package_name: app.package_name, fingerprints: app.fingerprints }
    }
}

payload! {
    /// The outcome of `updateBrand`.
    UpdateBrandPayload {
        /// The brand after the change.
        brand: Brand
    }
}

#[derive(Default)]
pub struct BrandMutation;

#[Object]
impl BrandMutation {
    /// Changes the settings of the key's brand.
    async fn update_brand(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateBrandInput,
    ) -> Result<UpdateBrandPayload> {
        UpdateBrandPayload::of(update(ctx.request()?, input).await)
    }
}

async fn update(request: &RequestContext, input: UpdateBrandInput) -> base::Result<Brand> {
    let limit = input.payout_four_eyes_above.map(|limit| limit.to_money(&["payoutFourEyesAbove"]));
    let change = &BrandChange {
        four_eyes_above: limit.transpose()?,
        allowed_hosts: input.allowed_hosts,
        link_hosts: input.link_hosts,
        ios_app: to_change(input.ios_app).map(|app| app.map(Into::into)),
        android_app: to_change(input.android_app).map(|app| app.map(Into::into)),
        is_probabilistic: input.probabilistic_claims,
        keeps_properties: input.keep_properties,
    };
    let (scope, env, public_url) = (&request.scope, &request.app.env, &request.app.settings.public_url);
    let work = request
        .app
        .db
        .transaction(|conn| async move { brands::update(conn, scope, env, public_url, change).await }.scope_boxed());
    work.await?;
    Brand::load(request).await
}
