//! A brand's apps, as it names them, and the two files by which phones know that its links are theirs. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::base::limits::{APP_IDS_MAX, URL_BYTES_MAX};
use crate::base::{Code, Error, Refusal, Result};

/// An app for iPhones and iPads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IosApp {
    /// Team and bundle, as Apple names an app: `ABCDE12345.example.shop`.
    pub app_ids: Vec<String>,
    /// Where the app can be had.
    pub store_url: String,
}

/// An app for Android.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AndroidApp {
    pub package_name: String,
    /// SHA-256 of the certificates that it is signed with: pairs of hexadecimal digits in upper case, parted by colons.
    pub fingerprints: Vec<String>,
}

impl IosApp {
    /// What `/.well-known/apple-app-site-association` says
    /// (<https://developer.apple.com/documentation/xcode/supporting-associated-domains>): invitations open the app.
    #[must_use]
    pub fn association(&self) -> Value {
        let components = json!([{ "#": "no_universal_links", "exclude": true }, { "/": "/invite/*" }]);
        json!({ "applinks": { "details": [{ "appIDs": self.app_ids, "components": components }] } })
    }

    pub(super) fn check(&self) -> Result<()> {
        let mut refusals = Vec::new();
        count(&mut refusals, &["iosApp", "appIds"], self.app_ids.len());
        for (index, id) in self.app_ids.iter().enumerate() {
            if !is_app_id(id) {
                let message =
                    "Pass the team's 10 letters and digits, a full stop, and the bundle: ABCDE12345.example.shop.";
                refusals.push(Refusal::new(Code::Invalid, &["iosApp", "appIds", &index.to_string()], message));
            }
        }
        let is_store = |url: &Url| {
            url.scheme() == "https" && matches!(url.host_str(), Some("apps.apple.com" | "itunes.apple.com"))
        };
        if self.store_url.len() > URL_BYTES_MAX || !Url::parse(&self.store_url).is_ok_and(|url| is_store(&url)) {
            let message = "Pass the app's page on the App Store: an address that begins with https://apps.apple.com/.";
            refusals.push(Refusal::new(Code::Invalid, &["iosApp", "storeUrl"], message));
        }
        if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
    }
}

impl AndroidApp {
    /// What `/.well-known/assetlinks.json` says (<https://developers.google.com/digital-asset-links>): links here may open the app.
    #[must_use]
    pub fn asset_links(&self) -> Value {
        json!([{
            "relation": ["delegate_permission/common.handle_all_urls"],
            "target": {
                "namespace": "android_app",
                "package_name": self.package_name,
                "sha256_cert_fingerprints": self.fingerprints,
            },
        }])
    }

    /// The app's page on Google Play, which hands `referrer` to the app at its first open.
    #[must_use]
    pub fn store_url(&self, referrer: &[(&str, String)]) -> String {
        let referrer = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(referrer).finish();
        let query = [("id", self.package_name.as_str()), ("referrer", referrer.as_str())];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        format!("https://play.google.com/store/apps/details?{query}")
    }

    pub(super) fn check(&self) -> Result<()> {
        let mut refusals = Vec::new();
        if !is_package(&self.package_name) {
            let message = "Pass the application id, for example com.example.shop.";
            refusals.push(Refusal::new(Code::Invalid, &["androidApp", "packageName"], message));
        }
        count(&mut refusals, &["androidApp", "fingerprints"], self.fingerprints.len());
        for (index, fingerprint) in self.fingerprints.iter().enumerate() {
            if !is_fingerprint(fingerprint) {
                let message = "Pass the SHA-256 of the certificate as 32 pairs of hexadecimal digits in upper case, parted by colons.";
                refusals.push(Refusal::new(
                    Code::Invalid,
                    &["androidApp", "fingerprints", &index.to_string()],
                    message,
                ));
            }
        }
        if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
    }
}

fn count(refusals: &mut Vec<Refusal>, path: &[&str], count: usize) {
    if !(1..=APP_IDS_MAX).contains(&count) {
        refusals.push(Refusal::new(Code::Invalid, path, format!("Pass 1 to {APP_IDS_MAX} of them.")));
    }
}

fn is_app_id(text: &str) -> bool {
    let Some((team, bundle)) = text.split_once('.') else { return false };
    let is_team = team.len() == 10 && team.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    is_team && (1..=155).contains(&bundle.len()) && bundle.bytes().all(is_inner)
}

fn is_package(text: &str) -> bool {
    let is_part = |part: &str| {
        part.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text.len() <= 255 && text.contains('.') && text.split('.').all(is_part)
}

fn is_fingerprint(text: &str) -> bool {
    let is_pair =
        |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
    text.split(':').count() == 32 && text.split(':').all(is_pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_apps_are_those_of_the_stores() {
        for (text, expected) in [
            ("ABCDE12345.example.shop", true),
            ("ABCDE12345.a-b.c", true),
            ("ABCDE12345.", false),
            ("abcde12345.example", false),
            ("ABCDE1234.example", false),
            ("ABCDE12345.exa mple", false),
        ] {
            assert_eq!(is_app_id(text), expected, "{text}");
        }
        for (text, expected) in [
            ("com.example.shop", true),
            ("com.example_1.x", true),
            ("shop", false),
            ("com..x", false),
            ("com.1x", false),
        ] {
            assert_eq!(is_package(text), expected, "{text}");
        }
        let good = ["AB"; 32].join(":");
        assert!(is_fingerprint(&good) && !is_fingerprint(&good.to_lowercase()) && !is_fingerprint(&good[3..]));
    }

    #[test]
    fn the_referrer_is_one_value_of_the_store_address() {
        let app = AndroidApp { package_name: "com.example.shop".into(), fingerprints: Vec::new() };
        let url = app.store_url(&[("gv_token", "abc".into()), ("utm_source", "a b&c".into())]);
        let url = Url::parse(&url).unwrap();
        let referrer = url.query_pairs().find(|(name, _)| name == "referrer").unwrap().1.into_owned();
        assert_eq!(referrer, "gv_token=abc&utm_source=a+b%26c");
    }
}
