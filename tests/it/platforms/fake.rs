//! The platforms, as far as we ask them: on a port of this machine, in a mood of the test's choice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use grapevine::config::PlatformSettings;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::net::TcpListener;
use url::form_urlencoded;

/// How the platforms answer.
#[derive(Clone, Debug)]
pub enum Mood {
    /// The account is there and says this of itself.
    Fine(String),
    /// There is no such account.
    Gone,
    Failing,
    /// It takes the request and never answers.
    Stalling,
    /// It answers in a format of next year.
    Changed,
    /// The credentials are no longer good.
    Refusing,
}

/// The platforms. Cloning shares them.
#[derive(Clone)]
pub struct Fake(Arc<Inside>);

struct Inside {
    url: String,
    mood: Mutex<Mood>,
    asked_count: AtomicUsize,
    /// A name about which Instagram says something that nobody understands.
    riddle: Mutex<String>,
    /// What the hub was asked for, as forms.
    subscriptions: Mutex<Vec<String>>,
}

impl Fake {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mood = Mutex::new(Mood::Fine(String::new()));
        let (asked_count, riddle, subscriptions) = (AtomicUsize::new(0), Mutex::default(), Mutex::default());
        let fake = Self(Arc::new(Inside { url, mood, asked_count, riddle, subscriptions }));
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    /// Settings that ask these, with credentials for all, and little patience.
    pub fn settings(&self) -> PlatformSettings {
        PlatformSettings {
            youtube_api_url: self.0.url.clone(),
            youtube_api_key: Some("youtube-key".to_owned()),
            youtube_hub_url: format!("{}/subscribe", self.0.url),
            instagram_api_url: format!("{}/v23.0", self.0.url),
            instagram_user_id: Some("17841".to_owned()),
            instagram_access_token: Some("instagram-token".to_owned()),
            tiktok_api_url: self.0.url.clone(),
            tiktok_access_token: Some("tiktok-token".to_owned()),
            platform_timeout_ms: 300,
        }
    }

    pub fn feel(&self, mood: Mood) {
        *self.0.mood.lock().unwrap() = mood;
    }

    /// Instagram answers about this name as nobody understands.
    pub fn riddle(&self, name: &str) {
        name.clone_into(&mut self.0.riddle.lock().unwrap());
    }

    /// Requests so far.
    pub fn asked_count(&self) -> usize {
        self.0.asked_count.load(Ordering::SeqCst)
    }

    /// What the hub was asked for since the last time.
    pub fn take_subscriptions(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.subscriptions.lock().unwrap())
    }
}

async fn answer(State(fake): State<Fake>, request: Request) -> Response {
    fake.0.asked_count.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let mood = fake.0.mood.lock().unwrap().clone();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let is_let_in = match path {
        "/subscribe" => true,
        "/youtube/v3/channels" => header("x-goog-api-key") == "youtube-key" && query.contains("id="),
        "/v23.0/17841" => header("authorization") == "Bearer instagram-token" && query.contains("business_discovery"),
        "/v2/research/user/info/" => header("authorization") == "Bearer tiktok-token" && body.contains("username"),
        _ => return (StatusCode::NOT_FOUND, format!("nothing at {path}")).into_response(),
    };
    match mood {
        Mood::Failing => return StatusCode::BAD_GATEWAY.into_response(),
        Mood::Stalling => std::future::pending().await,
        Mood::Changed => {
            return axum::Json(json!({"v2": {"result": []}, "items": [{}], "error": {"code": "ok"}})).into_response();
        }
        Mood::Refusing => return refusal(path),
        Mood::Fine(_) | Mood::Gone if !is_let_in => return refusal(path),
        Mood::Fine(_) | Mood::Gone => {}
    }
    let text = if let Mood::Fine(text) = mood { Some(text) } else { None };
    match (path, text) {
        ("/subscribe", _) => {
            fake.0.subscriptions.lock().unwrap().push(body);
            StatusCode::ACCEPTED.into_response()
        }
        ("/youtube/v3/channels", Some(text)) => axum::Json(json!({"items": [{"id": "UC1",
            "snippet": {"title": "Zoe", "customUrl": "@zoe", "description": text},
            "statistics": {"subscriberCount": "12345", "hiddenSubscriberCount": false}}]}))
        .into_response(),
        ("/youtube/v3/channels", None) => axum::Json(json!({"pageInfo": {"totalResults": 0}})).into_response(),
        ("/v23.0/17841", Some(text)) => {
            let name = asked_name(query);
            if name == *fake.0.riddle.lock().unwrap() {
                return (StatusCode::BAD_REQUEST, axum::Json(json!({"error": {"code": 100}}))).into_response();
            }
            let account = json!({"id": id_of(&name), "username": name, "biography": text, "followers_count": 777});
            axum::Json(json!({"business_discovery": account, "id": "17841"})).into_response()
        }
        ("/v23.0/17841", None) => {
            (StatusCode::BAD_REQUEST, axum::Json(json!({"error": {"code": 110}}))).into_response()
        }
        (_, Some(text)) => axum::Json(json!({"data": {"bio_description": text, "follower_count": 99},
            "error": {"code": "ok", "message": "", "log_id": "1"}}))
        .into_response(),
        (_, None) => axum::Json(json!({"data": {}, "error": {"code": "user_not_found"}})).into_response(),
    }
}

/// The name that Instagram is asked about.
fn asked_name(query: &str) -> String {
    let fields = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "fields").unwrap().1;
    fields.split_once("username(").unwrap().1.split_once(')').unwrap().0.to_owned()
}

/// The identifier of Instagram's account of a name.
pub fn id_of(name: &str) -> String {
    format!("17{}", name.to_lowercase().bytes().map(u64::from).sum::<u64>())
}

/// How each says that it does not know our credentials: Google and Meta with 400.
fn refusal(path: &str) -> Response {
    let (status, error) = match path {
        "/youtube/v3/channels" => (
            StatusCode::BAD_REQUEST,
            json!({"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}),
        ),
        "/v23.0/17841" => (StatusCode::BAD_REQUEST, json!({"code": 190})),
        _ => (StatusCode::UNAUTHORIZED, json!({"code": "access_token_invalid"})),
    };
    (status, axum::Json(json!({ "error": error }))).into_response()
}
