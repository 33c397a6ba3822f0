//! Mutations of the brand's own settings.

use async_graphql::{Context, InputObject, Object, Result};
use scoped_futures::ScopedFutureExt;

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
    let change = &BrandChange { allowed_hosts: input.allowed_hosts, link_hosts: input.link_hosts };
    let (scope, env) = (&request.scope, &request.app.env);
    let work = request
        .app
        .db
        .transaction(|conn| async move { brands::update(conn, scope, env, change).await }.scope_boxed());
    work.await?;
    Brand::load(request).await
}
