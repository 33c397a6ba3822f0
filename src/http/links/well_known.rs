//! The two files by which phones know that links under a host belong to a brand's app.

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HOST};
use axum::response::Response;
use serde_json::Value;

use crate::base::Result;
use crate::brands::{self, AndroidApp, BrandSettings, IosApp};
use crate::http::answer;
use crate::http::house::House;
use crate::urls::{is_host_of, normal_host};

/// Phones and the stores' own caches look again after about as long.
const CACHE: &str = "public, max-age=3600";

pub(in crate::http) async fn apple_app_site_association(State(house): State<House>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    serve(&house, parts.headers.get(HOST), |settings| settings.ios_app.as_ref().map(IosApp::association)).await
}

pub(in crate::http) async fn asset_links(State(house): State<House>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    serve(&house, parts.headers.get(HOST), |settings| settings.android_app.as_ref().map(AndroidApp::asset_links)).await
}

async fn serve(house: &House, host: Option<&HeaderValue>, file: fn(&BrandSettings) -> Option<Value>) -> Response {
    match settings(house, host).await.map(|settings| settings.as_ref().and_then(file)) {
        Ok(Some(file)) => {
            let mut response = answer::json(StatusCode::OK, &file);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(CACHE));
            response
        }
        Ok(None) => answer::error(StatusCode::NOT_FOUND, "NOT_FOUND", "No app belongs to this host."),
        Err(error) => answer::fault(&error),
    }
}

/// What the brand has set to which the host belongs. The installation's own address belongs to the only brand that has an app, if there is
/// but one.
async fn settings(house: &House, host: Option<&HeaderValue>) -> Result<Option<BrandSettings>> {
    let host = host.and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| normal_host(host.rsplit_once(':').map_or(host, |(host, _)| host)));
    let Some(host) = host else { return Ok(None) };
    let is_shared = is_host_of(&house.app.settings.public_url, &host);
    brands::settings_under_host(&mut *house.app.db.conn().await?, &host, is_shared).await
}
