//! GraphQL over server-sent events, in the distinct connections mode of graphql-sse: one operation per response, each result an
//! event `next`, the end an event `complete`.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::auth::authenticate;
use super::graphql::{Asker, refuse};
use super::house::{House, Place};
use super::negotiate::Media;
use crate::graphql::RequestContext;
use crate::graphql::run::{Answer, Prepared, stream};

struct Live {
    house: House,
    key: String,
    answers: BoxStream<'static, Answer>,
    ping: Interval,
    key_check: Interval,
    is_done: bool,
    _place: Place,
}

pub(super) fn respond(house: &House, asker: Asker, prepared: Prepared) -> Response {
    let Some(place) = house.long_lived.enter(asker.scope.key_id) else {
        let message = "This key has too many streams open: close one first.";
        return refuse(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_STREAMS", message, &asker.request_id);
    };
    let context = RequestContext::new(&house.app, asker.scope);
    let live = Live {
        house: house.clone(),
        key: asker.key,
        answers: stream(&house.schema, context, prepared, asker.request_id),
        ping: every(house.options.socket_ping),
        key_check: every(house.options.key_check),
        is_done: false,
        _place: place,
    };
    let body = Body::from_stream(unfold(live, next).map(Ok::<Bytes, Infallible>));
    ([(CONTENT_TYPE, Media::EventStream.content_type())], body).into_response()
}

/// Ticks from one period on.
pub(super) fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn next(mut live: Live) -> Option<(Bytes, Live)> {
    if live.is_done {
        return None;
    }
    loop {
        let event = tokio::select! {
            answer = live.answers.next() => match answer {
                // JSON text holds no line break, so that one data line is enough.
                Some(answer) => format!("event: next\ndata: {}\n\n", answer.body()),
                None => {
                    live.is_done = true;
                    "event: complete\ndata:\n\n".to_owned()
                }
            },
            _ = live.ping.tick() => ":\n\n".to_owned(),
            _ = live.key_check.tick() => {
                if let Ok(None) = authenticate(&live.house.app, &live.key).await {
                    return None;
                }
                continue;
            }
            () = live.house.stop.cancelled() => return None,
        };
        return Some((Bytes::from(event), live));
    }
}
