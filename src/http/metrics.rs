//! What Prometheus reads. Labels are few and fixed: never a path, a brand, a key or an address.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::answer;
use super::auth::{authenticate, bearer};
use super::house::House;
use super::serve::Peer;
use crate::access::Permission;
use crate::creators::Platform;
use crate::deliveries::Sent;
use crate::outbound::{BreakerState, CallOutcome, breaker_states};
use crate::payouts::broken_count;
use crate::platforms::Scheme;

/// How long whoever reads the metrics waits for PostgreSQL.
const TIME: Duration = Duration::from_secs(1);
/// What a format that has changed is kept under.
const CHANGED_CODES: [&str; 5] = ["BAD_FIELD", "BAD_JSON", "BAD_XML", "UNKNOWN_KIND", "UNKNOWN_VERSION"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuarantineLabels {
    platform: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    platform: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlatformLabels {
    platform: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SentLabels {
    outcome: &'static str,
}

/// The door's counters.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    events: Family<EventLabels, Counter>,
    quarantined: Family<QuarantineLabels, Counter>,
    clicks_lost: Counter,
    statements: Counter,
    queue_depth: Gauge,
    rate_limited: Family<LimitLabels, Counter>,
    limits_local: Counter,
    calls: Family<CallLabels, Counter>,
    breakers: Family<PlatformLabels, Gauge>,
    ledgers_broken: Gauge,
    webhooks: Family<SentLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("grapevine");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let durations: Family<RouteLabels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 14)));
        registry.register("http_request_duration_seconds", "Time to the head of the answer", durations.clone());
        let events = Family::default();
        registry.register("events", "Webhook events by what became of them at the door", events.clone());
        let quarantined: Family<QuarantineLabels, Counter> = Family::default();
        for scheme in Scheme::ALL.iter().filter(|scheme| scheme.is_platform()) {
            // There from the start: who watches for an increase does not see one from nothing.
            for code in CHANGED_CODES {
                quarantined.get_or_create(&QuarantineLabels { platform: scheme.as_str(), code }).inc_by(0);
            }
        }
        let help = "What platforms posted and could not be used, which is kept";
        registry.register("platform_events_quarantined", help, quarantined.clone());
        let clicks_lost = Counter::default();
        registry.register("clicks_lost", "Clicks redirected without being recorded", clicks_lost.clone());
        let statements = Counter::default();
        registry.register("database_statements", "Statements sent to PostgreSQL", statements.clone());
        let queue_depth = Gauge::default();
        registry.register("ingest_queue_depth", "Events that wait for their commit", queue_depth.clone());
        let rate_limited = Family::default();
        let help = "Requests refused by a rate limit, and clicks redirected without being recorded because of one";
        registry.register("rate_limited", help, rate_limited.clone());
        let limits_local = Counter::default();
        let help = "Rate limits counted in this process alone, since Redis did not answer in time";
        registry.register("rate_limits_local", help, limits_local.clone());
        let calls = Family::default();
        registry.register("platform_calls", "Questions of this process to platforms by how they ended", calls.clone());
        let breakers = Family::default();
        let help = "Whether a platform is asked, by whatever process asked it last: 0 closed, 1 half open, 2 open";
        registry.register("platform_breaker", help, breakers.clone());
        let ledgers_broken = Gauge::default();
        let help = "Brands whose books did not add up when they were last looked at: nothing of theirs is paid out";
        registry.register("ledgers_broken", help, ledgers_broken.clone());
        let webhooks = Family::default();
        registry.register("webhooks_sent", "Tries to send a webhook by how they ended", webhooks.clone());
        Self {
            registry,
            requests,
            durations,
            events,
            quarantined,
            clicks_lost,
            statements,
            queue_depth,
            rate_limited,
            limits_local,
            calls,
            breakers,
            ledgers_broken,
            webhooks,
        }
    }
}

impl Metrics {
    pub(super) fn count_request(&self, route: &'static str, status: StatusCode, elapsed: Duration) {
        let class = match status.as_u16() {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&RequestLabels { route, status: class }).inc();
        self.durations.get_or_create(&RouteLabels { route }).observe(elapsed.as_secs_f64());
    }

    pub(super) fn count_event(&self, outcome: &'static str, count: u64) {
        self.events.get_or_create(&EventLabels { outcome }).inc_by(count);
    }

    pub(super) fn count_quarantined(&self, platform: &'static str, code: &'static str) {
        self.quarantined.get_or_create(&QuarantineLabels { platform, code }).inc();
    }

    pub(super) fn count_lost_click(&self) {
        self.clicks_lost.inc();
    }

    fn catch_up_calls(&self, house: &House, breakers: &[(Platform, BreakerState)]) {
        let outcomes =
            [(CallOutcome::Answered, "answered"), (CallOutcome::Failed, "failed"), (CallOutcome::Spared, "spared")];
        for client in house.app.outbound.clients() {
            let platform = client.platform().as_str();
            for (counted, outcome) in outcomes {
                catch_up(&self.calls.get_or_create(&CallLabels { platform, outcome }), client.count(counted));
            }
            let kept = breakers.iter().find(|(platform, _)| *platform == client.platform());
            let state = match kept.map_or_else(|| client.state(), |(_, state)| *state) {
                BreakerState::Closed => 0,
                BreakerState::HalfOpen => 1,
                BreakerState::Open => 2,
            };
            self.breakers.get_or_create(&PlatformLabels { platform }).set(state);
        }
    }

    /// Where PostgreSQL does not answer, the last answer stays.
    async fn catch_up_books(&self, house: &House) {
        let look = async { broken_count(&mut *house.app.db.conn().await?).await };
        match tokio::time::timeout(TIME, look).await {
            Ok(Ok(count)) => {
                self.ledgers_broken.set(count);
            }
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the audits of the books cannot be read");
            }
            Err(_) => tracing::debug!("the audits of the books cannot be read in time"),
        }
    }

    fn text(&self, house: &House, breakers: &[(Platform, BreakerState)]) -> Option<String> {
        catch_up(&self.statements, house.app.db.statement_count());
        for (limit, count) in house.app.limiter.refused_counts() {
            catch_up(&self.rate_limited.get_or_create(&LimitLabels { limit }), count);
        }
        catch_up(&self.limits_local, house.app.limiter.local_count());
        self.catch_up_calls(house, breakers);
        for (sent, outcome) in [(Sent::Taken, "taken"), (Sent::Refused, "refused")] {
            catch_up(&self.webhooks.get_or_create(&SentLabels { outcome }), house.app.courier.count(sent));
        }
        self.queue_depth.set(i64::try_from(house.app.door.queue_depth()).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry).ok().map(|()| text)
    }
}

/// The breakers of all processes: it is the worker that asks, and the worker serves nothing. Where PostgreSQL is away, those of this one
/// are all that is known.
async fn breakers(house: &House) -> Vec<(Platform, BreakerState)> {
    let read = async { breaker_states(&mut *house.app.db.conn().await?).await };
    match tokio::time::timeout(TIME, read).await {
        Ok(Ok(states)) => states,
        Ok(Err(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "the breakers could not be read");
            Vec::new()
        }
        Err(_) => {
            tracing::debug!("the breakers could not be read in time");
            Vec::new()
        }
    }
}

/// Brings a counter up to what was counted elsewhere.
fn catch_up(counter: &Counter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

/// For a scraper on this machine, or one with an admin's key.
pub(super) async fn metrics(State(house): State<House>, request: Request) -> Response {
    // A proxy on this machine makes the whole world a loopback peer; it says so in one of these.
    let is_forwarded = ["forwarded", "x-forwarded-for"].iter().any(|name| request.headers().contains_key(*name));
    let is_loopback = request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().is_loopback());
    let is_local = is_loopback && !is_forwarded && house.options.trusted_proxy_count == 0;
    if !is_local {
        let scope = match bearer(request.headers()) {
            Some(key) => authenticate(&house.app, &key).await,
            None => Ok(None),
        };
        match scope {
            Ok(Some(scope)) if scope.role.allows(Permission::Administer) => {}
            Ok(_) => {
                return answer::error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "Send an API key of role admin.");
            }
            Err(error) => return answer::fault(&error),
        }
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    house.metrics.catch_up_books(&house).await;
    match house.metrics.text(&house, &breakers(&house).await) {
        Some(text) => ([(CONTENT_TYPE, content_type)], text).into_response(),
        None => answer::internal(),
    }
}
