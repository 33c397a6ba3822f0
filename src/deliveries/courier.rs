//! Entries of the outbox become deliveries, and deliveries are sent. A try is claimed before it is made, so that what is lost with a
//! process is tried again once its claim is over: the same message under the same name, never none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::message::{compose, name_of};
use super::postman::Postman;
use super::rules::{Answer, after, is_wanted};
use super::{open, store};
use crate::access::{Keyring, Scope};
use crate::base::limits::{
    DELIVERIES_FORGOTTEN_MAX, DELIVERIES_PENDING_MAX, DELIVERIES_TAKEN_MAX, DELIVERY_DAYS_KEPT, DELIVERY_LEASE_SECONDS,
    ENDPOINT_FAILING_HOURS_MAX,
};
use crate::base::{Env, Error, Result, random_bytes};
use crate::db::{Conn, Db};
use crate::outbox::{self, Told};
use crate::platforms::{Scheme, SignedHeaders, key_of, sign};

/// The reason of an endpoint that answered 410.
const GONE: &str = "It answered 410: it wants nothing more.";

/// What posts to endpoints. Cloning shares it.
#[derive(Clone)]
pub struct Courier {
    pub(super) env: Env,
    pub(super) keyring: Keyring,
    db: Db,
    postman: Arc<Postman>,
    counts: Arc<[AtomicU64; 3]>,
}

/// What one call of [`Courier::send_next`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing is due.
    Nothing,
    /// The endpoint took a delivery.
    Taken,
    /// It did not: what else waits for it had better wait a little too.
    Refused,
}

impl Courier {
    /// Opens no connection yet. `allows_private` sends to addresses of our own network too.
    #[must_use]
    pub fn new(db: Db, env: Env, keyring: Keyring, allows_private: bool) -> Self {
        Self { env, keyring, db, postman: Arc::new(Postman::new(allows_private)), counts: Arc::default() }
    }

    pub(super) fn allows_private(&self) -> bool {
        self.postman.allows_private()
    }

    /// Makes deliveries of what the outbox has told since, for each endpoint that asked for it. Returns how many entries were looked at;
    /// call it again while that is above zero.
    pub async fn take(&self, scope: &Scope) -> Result<usize> {
        let now = self.env.now();
        self.db.transaction(|conn| async move { take(conn, scope, now).await }.scope_boxed()).await
    }

    /// The endpoints for which something is due.
    pub async fn due(&self, scope: &Scope) -> Result<Vec<Uuid>> {
        store::endpoints_due(&mut *self.db.conn().await?, scope, self.env.now()).await
    }

    /// Sends the first delivery that is due to an endpoint.
    pub async fn send_next(&self, scope: &Scope, endpoint_id: Uuid) -> Result<Sent> {
        let now = self.env.now();
        let lost_at = now + TimeDelta::seconds(DELIVERY_LEASE_SECONDS);
        let claimed = store::claim_next(&mut *self.db.conn().await?, scope, endpoint_id, now, lost_at).await?;
        let Some(parcel) = claimed else { return Ok(Sent::Nothing) };
        let headers = self.signed(scope, &parcel, now)?;
        // No connection to the database is held while the endpoint takes its time.
        let answer = self.postman.post(&parcel.url, &headers, parcel.payload).await;
        let try_made = Try { endpoint_id, seq: parcel.seq, attempt_count: parcel.attempt_count };
        self.settle(scope, &try_made, &answer).await?;
        let sent = if matches!(answer, Answer::Taken { .. }) { Sent::Taken } else { Sent::Refused };
        self.counts[sent as usize].fetch_add(1, Ordering::Relaxed);
        Ok(sent)
    }

    /// How many tries of this process ended so.
    #[must_use]
    pub fn count(&self, sent: Sent) -> u64 {
        self.counts[sent as usize].load(Ordering::Relaxed)
    }

    /// The headers, signed with every secret that counts now, the newest first.
    fn signed(&self, scope: &Scope, parcel: &store::Parcel, now: DateTime<Utc>) -> Result<SignedHeaders> {
        let is_live = parcel.previous_expires_at.is_some_and(|until| until > now);
        let previous = parcel.previous_secret_sealed.as_ref().filter(|_| is_live);
        let mut headers = SignedHeaders::new();
        for sealed in std::iter::once(&parcel.secret_sealed).chain(previous) {
            let key = key_of(Scheme::StandardWebhooks, &open(scope, &self.keyring, sealed)?);
            let key = key.ok_or_else(|| Error::fault("reading an endpoint's secret", "it is none"))?;
            let raw = parcel.payload.as_bytes();
            join(&mut headers, sign(Scheme::StandardWebhooks, &key, &name_of(parcel.message_id), now, raw));
        }
        Ok(headers)
    }

    /// Writes down what came of a try, and disables an endpoint that is gone or has failed for days.
    async fn settle(&self, scope: &Scope, made: &Try, answer: &Answer) -> Result<()> {
        let now = self.env.now();
        let [chance] = random_bytes::<1>(&*self.env.chance);
        let (state, next_attempt_at) = after(answer, made.attempt_count, now, chance);
        let row = store::SettledRow {
            state,
            next_attempt_at,
            status: answer.status().and_then(|status| i16::try_from(status).ok()),
            error: answer.error(),
            now,
        };
        let conn = &mut *self.db.conn().await?;
        store::settle(conn, scope, made, &row).await?;
        let is_last = next_attempt_at.is_none();
        match answer {
            Answer::Gone => store::disable(conn, scope, made.endpoint_id, now, GONE, None).await,
            Answer::Failed { error, .. } if is_last => {
                let reason =
                    format!("Every try has failed for {ENDPOINT_FAILING_HOURS_MAX} hours. The last one: {error}");
                let since = now - TimeDelta::hours(ENDPOINT_FAILING_HOURS_MAX);
                store::disable(conn, scope, made.endpoint_id, now, &reason, Some(since)).await
            }
            _ => Ok(()),
        }
    }

    /// Forgets deliveries that have been done with for long.
    pub async fn forget(&self, scope: &Scope) -> Result<()> {
        let before = self.env.now() - TimeDelta::days(DELIVERY_DAYS_KEPT);
        let conn = &mut *self.db.conn().await?;
        // However many there are: who is told more than one call forgets would fill the table.
        while store::forget(conn, scope, before, DELIVERIES_FORGOTTEN_MAX).await? > 0 {}
        Ok(())
    }
}

/// One try at a delivery.
pub(super) struct Try {
    pub endpoint_id: Uuid,
    pub seq: i64,
    /// With this one. A later one settles the delivery alone.
    pub attempt_count: i16,
}

async fn take(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>) -> Result<usize> {
    let mut count = 0;
    for endpoint in store::lock_behind(conn, scope, DELIVERIES_PENDING_MAX).await? {
        let told = outbox::told_above(conn, scope, endpoint.taken_seq, DELIVERIES_TAKEN_MAX).await?;
        let Some(last) = told.last() else { continue };
        let wanted: Vec<Told> = told.iter().filter(|one| is_wanted(&endpoint.kinds, one.topic)).copied().collect();
        let messages = compose(conn, scope, &wanted).await?;
        store::insert_deliveries(conn, scope, endpoint.id, now, &messages).await?;
        store::move_on(conn, scope, endpoint.id, last.seq).await?;
        count += told.len();
    }
    Ok(count)
}

/// Adds the signature of one more key: the name and the moment are the same.
fn join(headers: &mut SignedHeaders, more: SignedHeaders) {
    for (name, value) in more {
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, held)) if *held != value => {
                held.push(' ');
                held.push_str(&value);
            }
            Some(_) => {}
            None => headers.push((name, value)),
        }
    }
}
