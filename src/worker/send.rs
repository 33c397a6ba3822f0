//! Webhooks that go out, beside the work on the log: what the outbox tells becomes deliveries, and each endpoint is served in a turn of its
//! own, so that a slow one holds nobody up.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::brands;
use crate::access::{Brand, Scope};
use crate::app::App;
use crate::base::Result;
use crate::base::limits::{DELIVERIES_PER_TURN_MAX, DELIVERY_TURNS_MAX};
use crate::deliveries::Sent;

/// How often it is looked for deliveries.
const LOOK: Duration = Duration::from_millis(500);
/// How long an endpoint is left alone that has just refused one, or of which the database lost sight.
const PAUSE: Duration = Duration::from_secs(1);

/// The turns that are under way, by whom they serve.
#[derive(Default)]
struct Turns {
    running: JoinSet<()>,
    served: HashMap<Id, Uuid>,
    /// How often it was looked for more to begin.
    round: usize,
}

/// Sends until `stop` is cancelled, and then lets what is on its way arrive.
pub(super) async fn deliver_on(app: &App, stop: &CancellationToken) {
    let mut turns = Turns::default();
    while !stop.is_cancelled() {
        if let Err(error) = begin(app, stop, &mut turns).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "webhooks were not looked for, and will be later");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = turns.running.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => error.id(),
                };
                turns.served.remove(&id);
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    while turns.running.join_next().await.is_some() {}
}

/// Begins a turn for each endpoint that has something due and none under way. One brand's trouble is not another's: where all turns are
/// taken by endpoints that do not answer, the next one that is free is another brand's each time.
async fn begin(app: &App, stop: &CancellationToken, turns: &mut Turns) -> Result<()> {
    let mut outcome = Ok(());
    let mut brands = brands(app).await?;
    turns.round = turns.round.wrapping_add(1);
    begin_with_another(&mut brands, turns.round);
    for brand in brands {
        outcome = outcome.and(begin_brand(app, stop, turns, &brand).await);
    }
    outcome
}

/// Puts them in an order that begins with another one each round, and keeps who follows whom.
fn begin_with_another<T>(all: &mut [T], round: usize) {
    if let Some(first) = round.checked_rem(all.len()) {
        all.rotate_left(first);
    }
}

async fn begin_brand(app: &App, stop: &CancellationToken, turns: &mut Turns, brand: &Brand) -> Result<()> {
    let scope = brand.scope();
    app.courier.take(&scope).await?;
    for endpoint_id in app.courier.due(&scope).await? {
        let is_served = turns.served.values().any(|served| *served == endpoint_id);
        if is_served || turns.running.len() >= DELIVERY_TURNS_MAX {
            continue;
        }
        let handle = turns.running.spawn(turn(app.clone(), stop.clone(), scope.clone(), endpoint_id));
        turns.served.insert(handle.id(), endpoint_id);
    }
    Ok(())
}

/// Sends one delivery after the other, in their order, until one is refused.
async fn turn(app: App, stop: CancellationToken, scope: Scope, endpoint_id: Uuid) {
    for _ in 0..DELIVERIES_PER_TURN_MAX {
        match app.courier.send_next(&scope, endpoint_id).await {
            Ok(Sent::Taken) if !stop.is_cancelled() => continue,
            Ok(Sent::Taken | Sent::Nothing) => return,
            Ok(Sent::Refused) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a webhook was not sent, and will be later");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
        return;
    }
}

/// Sends all that is due now, each endpoint beside the others, and returns how many tries that took. For tests.
pub async fn deliver(app: &App) -> Result<usize> {
    let mut count = 0;
    for brand in brands(app).await? {
        let scope = &brand.scope();
        while app.courier.take(scope).await? > 0 {}
        let due = app.courier.due(scope).await?;
        let turns = due.into_iter().map(|endpoint_id| async move {
            let mut count = 0;
            while app.courier.send_next(scope, endpoint_id).await? != Sent::Nothing {
                count += 1;
            }
            Ok::<usize, crate::base::Error>(count)
        });
        count += try_join_all(turns).await?.into_iter().sum::<usize>();
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::begin_with_another;

    #[test]
    fn each_comes_first_once_in_as_many_rounds_as_there_are() {
        let firsts = (5..9).map(|round| {
            let mut all = ['a', 'b', 'c', 'd'];
            begin_with_another(&mut all, round);
            all[0]
        });
        assert_eq!(firsts.collect::<String>(), "bcda");
        begin_with_another::<char>(&mut [], 1);
    }
}
