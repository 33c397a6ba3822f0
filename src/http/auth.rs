//! Who asks: the API key of a request, and the scope that it opens.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::access::{self, Scope};
use crate::app::App;
use crate::base::Result;

/// The key of `Authorization: Bearer …`. A header that is repeated or malformed is none.
pub(super) fn bearer(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    bearer_of(value)
}

/// The key of a header's value; the scheme's name is not case-sensitive (RFC 9110).
pub(super) fn bearer_of(value: &str) -> Option<String> {
    let (scheme, key) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned()).filter(|key| !key.is_empty())
}

/// The scope of a live key, remembered for a few seconds.
pub(super) async fn authenticate(app: &App, key: &str) -> Result<Option<Scope>> {
    if let Some(scope) = app.keys.find(key, app.env.now()) {
        return Ok(Some(scope));
    }
    let scope = access::authenticate(&mut *app.db.conn().await?, &app.env, key).await?;
    if let Some(scope) = &scope {
        app.keys.remember(key, scope, app.env.now());
    }
    Ok(scope)
}
