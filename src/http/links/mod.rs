//! Share links: who follows one is recorded and sent on to the link's own destination, never to an address from the request.
//! Start with [`follow`]; `visitor.rs` tells people from what only looks.

mod invitation;
mod page;
mod qr;
mod record;
mod script;
mod visitor;
mod well_known;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{HOST, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::house::House;
use crate::base::Result;
use crate::links::{self, Place, Resolution, ResolvedLink};
use page::page;
use record::record;
use visitor::{Intent, Visitor};

pub(super) use invitation::{invite, invite_of_brand};
pub(super) use qr::{qr, qr_of_brand};
pub(super) use script::script;
pub(super) use well_known::{apple_app_site_association, asset_links};

/// `/r/{token}`, or `/r/{slug}` under a host of the brand's own.
type Name = std::result::Result<Path<String>, PathRejection>;
/// `/r/{brand}/{slug}`.
type BrandName = std::result::Result<Path<(String, String)>, PathRejection>;

pub(super) async fn follow(State(house): State<House>, name: Name, request: Request) -> Response {
    let Ok(Path(name)) = name else { return page::unknown() };
    let (parts, _) = request.into_parts();
    let found = resolve(&house, &parts, &name).await;
    answer(&house, &parts, found).await
}

pub(super) async fn follow_of_brand(State(house): State<House>, name: BrandName, request: Request) -> Response {
    let Ok(Path((brand, slug))) = name else { return page::unknown() };
    let (parts, _) = request.into_parts();
    let found = resolve_of_brand(&house, &parts, &brand, &slug).await;
    answer(&house, &parts, found).await
}

async fn resolve(house: &House, parts: &Parts, name: &str) -> Result<Resolution> {
    resolve_in(house, parts, None, name).await
}

async fn resolve_of_brand(house: &House, parts: &Parts, brand: &str, slug: &str) -> Result<Resolution> {
    resolve_in(house, parts, Some(brand), slug).await
}

async fn resolve_in(house: &House, parts: &Parts, brand: Option<&str>, name: &str) -> Result<Resolution> {
    let app = &house.app;
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let place = Place { host, brand, public_url: &app.settings.public_url };
    links::resolve_at(&app.db, &app.kv, &app.keyring, &app.env, place, name).await
}

async fn answer(house: &House, parts: &Parts, found: Result<Resolution>) -> Response {
    match found {
        Ok(Resolution::Found(link)) => send_on(house, parts, &link).await,
        Ok(closed) => page::closed(&closed),
        Err(error) => page::fault(&error),
    }
}

async fn send_on(house: &House, parts: &Parts, link: &ResolvedLink) -> Response {
    let mut visitor = Visitor::of(house, parts);
    let intent = visitor.intent(parts);
    let (app, is_click) = (&house.app, intent == Intent::Click);
    let cookie = if is_click { visitor.name(&*app.env.chance, &app.settings.public_url) } else { None };
    let event_id = record(house, link, intent, &visitor).await;
    if intent == Intent::Prefetch {
        // A browser that was given the destination ahead would not ask again when the person clicks, and the click would be lost.
        return page(StatusCode::SERVICE_UNAVAILABLE, "This link is not fetched ahead.");
    }
    let url = link.link.url(visitor.device, event_id.filter(|_| is_click));
    let mut response = page(StatusCode::FOUND, "You are being taken to another page.");
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&url) {
        headers.insert(LOCATION, location);
    }
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}
