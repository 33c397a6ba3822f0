//! Invitations: whoever lacks the brand's app is led to its store, with the token along, so that the app knows at its first open who
//! invited. On Android the store itself hands it over; on an iPhone the person can put it into the clipboard. Where the app is installed,
//! the phone opens it and asks us for nothing; where there is none, an invitation is a link like any other.

use std::sync::LazyLock;

use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::page::{self, page};
use super::record::record;
use super::visitor::{Intent, Visitor};
use super::{BrandName, Name, resolve, resolve_of_brand, send_on};
use crate::base::{Kind, Result};
use crate::brands::{self, IosApp};
use crate::creators::Platform;
use crate::http::house::House;
use crate::links::{self, Resolution, ResolvedLink};

/// Copies the invitation within the tap that asks for it, as browsers demand, and goes on whether that worked or not.
const SCRIPT: &str = "var a=document.getElementById('get');function go(){location.href=a.href}\
    a.onclick=function(){try{navigator.clipboard.writeText(a.dataset.invitation).then(go,go)}catch(e){go()}return false}";
const STYLE: &str = "body{font:18px/1.5 system-ui,sans-serif;max-width:28em;margin:3em auto;padding:0 1em}\
    #get{display:block;padding:.8em;border-radius:.6em;background:#111;color:#fff;text-align:center;text-decoration:none}";

/// The page may run this one script, carry this one style, load nothing, and stand in no other page.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

pub(in crate::http) async fn invite(State(house): State<House>, name: Name, request: Request) -> Response {
    let Ok(Path(name)) = name else { return page::unknown() };
    let (parts, _) = request.into_parts();
    let found = resolve(&house, &parts, &name).await;
    answer(&house, &parts, found).await
}

pub(in crate::http) async fn invite_of_brand(
    State(house): State<House>,
    name: BrandName,
    request: Request,
) -> Response {
    let Ok(Path((brand, slug))) = name else { return page::unknown() };
    let (parts, _) = request.into_parts();
    let found = resolve_of_brand(&house, &parts, &brand, &slug).await;
    answer(&house, &parts, found).await
}

async fn answer(house: &House, parts: &Parts, found: Result<Resolution>) -> Response {
    let link = match found {
        Ok(Resolution::Found(link)) => link,
        Ok(closed) => return page::closed(&closed),
        Err(error) => return page::fault(&error),
    };
    let visitor = Visitor::of(house, parts);
    let has_app = match visitor.device {
        Platform::Ios => link.settings.ios_app.is_some(),
        Platform::Android => link.settings.android_app.is_some(),
        _ => false,
    };
    if !has_app || visitor.intent(parts) != Intent::Click {
        return send_on(house, parts, &link).await;
    }
    match to_store(house, visitor, &link).await {
        Ok(response) => response,
        Err(error) => page::fault(&error),
    }
}

async fn to_store(house: &House, mut visitor: Visitor, link: &ResolvedLink) -> Result<Response> {
    let app = &house.app;
    let cookie = visitor.name(&*app.env.chance, &app.settings.public_url);
    let click_id = record(house, link, Intent::Click, &visitor).await;
    note_visit(house, &visitor, link).await?;
    let mut response = match (&link.settings.android_app, &link.settings.ios_app) {
        (Some(android), _) if visitor.device == Platform::Android => {
            let mut response = page(StatusCode::FOUND, "You are being taken to the store.");
            if let Ok(location) = HeaderValue::from_str(&android.store_url(&link.link.chain(click_id))) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
        (_, Some(ios)) => {
            let home = brands::home(&mut *app.db.conn().await?, &link.scope).await?;
            // By its token, whatever name it was opened by: a name that people can read would be taken for theirs wherever it stands.
            let base = links::base_url(&app.settings.public_url, &home);
            let invitation = with_click(format!("{base}/invite/{}", link.link.token), click_id);
            store_page(ios, &invitation, &link.link.url(visitor.device, click_id))
        }
        _ => page::unknown(),
    };
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn with_click(invitation: String, click_id: Option<Uuid>) -> String {
    match click_id {
        Some(id) => format!("{invitation}?gv_click={}", Kind::Event.id(id)),
        None => invitation,
    }
}

/// Where the brand wants likely matches: who comes from which network is kept for some minutes.
async fn note_visit(house: &House, visitor: &Visitor, link: &ResolvedLink) -> Result<()> {
    let Some(ip) = visitor.ip.filter(|_| link.settings.is_probabilistic && visitor.network().is_some()) else {
        return Ok(());
    };
    let app = &house.app;
    let conn = &mut *app.db.conn().await?;
    links::note_visit(conn, &link.scope, &app.env, &app.keyring, link.link.id, ip, visitor.device).await
}

/// A page that offers to put the invitation into the clipboard on the way to the store.
fn store_page(app: &IosApp, invitation: &str, destination: &str) -> Response {
    let [store, invitation, destination] = [&app.store_url, invitation, destination].map(escaped);
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"><title>You are invited</title><style>{STYLE}</style><h1>You are invited</h1>\
         <p>The button copies your invitation, so that the app can tell who invited you, and opens the App Store.\
         <p><a id=\"get\" href=\"{store}\" data-invitation=\"{invitation}\">Get the app</a>\
         <p><a id=\"plain\" href=\"{store}\">Get it without copying</a> or <a id=\"web\" href=\"{destination}\">go on in the \
         browser</a>.<script>{SCRIPT}</script></html>"
    );
    let headers = [
        (CONTENT_TYPE.as_str(), "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", POLICY.as_str()),
    ];
    (headers, html).into_response()
}

/// Text as it may stand in an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
