//! The brand in PostgreSQL that `batches.rs` compares with the child's books: everything is asked of the functions that the worker and the
//! doors call, in sets wherever they take sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::sql_types::Uuid as SqlUuid;
use grapevine::access::{NewBrand, Scope, create_brand};
use grapevine::base::{Code, Env, Error, FixedClock, Money, SeededChance};
use grapevine::db::sql;
use grapevine::ingest::Origin;
use grapevine::ledger::{self, AccountKey, Books, Overdrawn, Transfer, TransferKind};
use grapevine::outbox::{self, Topic};
use grapevine::payouts::reads::payouts_by_ids;
use grapevine::payouts::{self, NewPayout, PayoutState};
use grapevine::platforms::{Scheme, parse};
use grapevine::rewards::reads::rewards_by_ids;
use grapevine::rewards::{self, Beneficiary, Claim};
use scoped_futures::ScopedFutureExt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::child::{Account, Child, Deed, FIRST_MEMBER, Fate, PER_DAY_MAX, Wish};
use super::super::{CAMPAIGN, Desk, all_of, claim, code, creator, usd};

/// What the campaign of a sequence begins with.
const FUNDED: i64 = 2_500_000;
/// The members of a brand: the first two earn, the others are those whose acts earn.
const MEMBERS: usize = 5;
const EARNING_MEMBERS: usize = 2;
/// How many they are whose acts earn.
pub const REFEREES: usize = MEMBERS - EARNING_MEMBERS;

/// A brand of its own in PostgreSQL, for one sequence.
pub struct Real<'a> {
    desk: &'a Desk,
    scope: Scope,
    maker: Scope,
    checker: Scope,
    pub clock: Arc<FixedClock>,
    pub env: Env,
    owners: Vec<Beneficiary>,
    referees: Vec<Uuid>,
    /// The rewards and payouts, at the places that they have in the child's books.
    rewards: Vec<Uuid>,
    payouts: Vec<Uuid>,
    alerts: Vec<Uuid>,
}

#[derive(diesel::QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

#[derive(Debug, PartialEq, diesel::QueryableByName)]
struct Sums {
    /// Where the chain ends, and how many transfers there are.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    chain_seq: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    transfer_count: i64,
    /// Currencies whose trial balance is not zero.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    lopsided_count: i64,
    /// What lies in escrow, and what rewards say of it.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    escrow_minor: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    escrowed_minor: i64,
}

impl<'a> Real<'a> {
    /// A brand like that of the desk, with members.
    pub async fn new(desk: &'a Desk) -> Self {
        static BRANDS: AtomicUsize = AtomicUsize::new(0);
        let number = BRANDS.fetch_add(1, Ordering::Relaxed);
        let mut conn = desk.db.conn().await.unwrap();
        let brand = NewBrand { slug: format!("brand-{number}"), name: "B".into(), currency: "USD".parse().unwrap() };
        let scope = create_brand(&mut conn, &desk.env, brand).await.unwrap().scope();
        let (own, old) = (scope.brand_id, desk.scope.brand_id);
        desk.execute(&format!(
            "insert into campaigns (brand_id, id, slug, name, objective, status, currency, policy_version, budget_minor, created_at)
             select '{own}', id, slug, name, objective, status, currency, policy_version, budget_minor, created_at from campaigns
             where brand_id = '{old}';
             insert into campaign_policies (brand_id, campaign_id, version, attribution, reward, fraud, created_at)
             select '{own}', campaign_id, version, attribution, reward, fraud, created_at from campaign_policies where brand_id = '{old}';
             insert into creators (brand_id, id, handle, display_name, status, created_at)
             select '{own}', id, handle, display_name, case handle when 'creator4' then 'BANNED' else status end, created_at from creators
             where brand_id = '{old}' and handle in ('creator1', 'creator2', 'creator3', 'creator4')"
        ))
        .await;
        ledger::fund_campaign(&mut conn, &scope, &desk.env, CAMPAIGN, usd(FUNDED), own).await.unwrap();
        drop(conn);
        let members = join(desk, &scope).await;
        let clock = Arc::new(FixedClock::at(desk.now()));
        let env = Env { clock: Arc::clone(&clock) as _, chance: Arc::new(SeededChance::from_seed(number as u64)) };
        let key = || Scope { key_id: Some(env.new_id()), ..scope.clone() };
        let (maker, checker) = (key(), key());
        let earning = members[..EARNING_MEMBERS].iter().copied().map(Beneficiary::Member);
        let owners: Vec<Beneficiary> = (1..=FIRST_MEMBER as u128).map(creator).chain(earning).collect();
        let referees = members[EARNING_MEMBERS..].to_vec();
        let (rewards, payouts) = (Vec::new(), Vec::new());
        let alerts = vec![Uuid::nil(); referees.len()];
        Self { desk, scope, maker, checker, clock, env, owners, referees, rewards, payouts, alerts }
    }

    pub fn child(&self) -> Child {
        let owners = self.owners.iter().map(|owner| owner.id()).collect();
        Child::new(self.scope.brand_id, owners, self.referees.len(), FUNDED)
    }

    fn claim(&self, wish: &Wish) -> Claim {
        let (owner, now) = (self.owners[wish.owner], self.env.now());
        let value = Money::new(wish.minor, wish.currency.parse().unwrap());
        Claim {
            referee_id: wish.referee.map(|referee| self.referees[referee]),
            escrow_days: wish.escrow_days,
            per_day_max: (wish.owner >= FIRST_MEMBER).then_some(PER_DAY_MAX),
            decision: wish.decision,
            is_running: wish.is_running,
            ..claim(format!("wish:{}", wish.number), owner, value, now)
        }
    }

    /// Grants in one batch, and says what became of each claim.
    pub async fn grant(&mut self, wishes: &[Wish], expected: &[Fate]) {
        let claims: &Vec<Claim> = &wishes.iter().map(|wish| self.claim(wish)).collect();
        let (scope, now) = (&self.scope, self.env.now());
        let work = self.desk.db.transaction(|conn| {
            async move {
                let ids = rewards::grant(conn, scope, now, claims.clone()).await?;
                let told: Vec<(Topic, Uuid)> = ids.iter().map(|id| (Topic::RewardChanged, *id)).collect();
                outbox::append(conn, scope, now, &told).await?;
                Ok::<Vec<Uuid>, Error>(ids)
            }
            .scope_boxed()
        });
        let ids: Vec<Uuid> = work.await.unwrap();
        let fates: Vec<_> = expected.iter().copied().flatten().collect();
        assert_eq!(ids.len(), fates.len(), "claims that were not made before");
        let found = rewards_by_ids(&mut self.desk.db.conn().await.unwrap(), scope, &ids).await.unwrap();
        for (id, (state, reason)) in ids.iter().zip(fates) {
            let reason = reason.map(|reason| reason.as_str());
            assert_eq!((found[id].state, found[id].reason.as_deref()), (state, reason), "{:?}", found[id]);
        }
        self.rewards.extend(ids);
    }

    pub async fn settle(&self) {
        let (scope, now) = (&self.scope, self.env.now());
        loop {
            let work = self
                .desk
                .db
                .transaction(|conn| async move { rewards::settle_due(conn, scope, now).await }.scope_boxed());
            if work.await.unwrap() == 0 {
                return;
            }
        }
    }

    /// Releases these by hand, or takes them back, in one transaction, and says what was refused.
    pub async fn by_hand(&self, places: &[usize], is_release: bool) -> Vec<Option<Code>> {
        let ids: &Vec<Uuid> = &places.iter().map(|place| self.rewards[*place]).collect();
        let (scope, env) = (&self.maker, &self.env);
        let work = self.desk.db.transaction(|conn| {
            async move {
                let mut codes = Vec::new();
                for id in ids {
                    let done = if is_release {
                        rewards::release(conn, scope, env, *id).await
                    } else {
                        rewards::reverse(conn, scope, env, *id, "It was a mistake.").await
                    };
                    // What is refused has written nothing, so that the transaction goes on.
                    codes.push(match done {
                        Err(Error::Refused(refusals)) => refusals.first().map(|refusal| refusal.code),
                        done => done.map(|()| None)?,
                    });
                }
                Ok::<Vec<Option<Code>>, Error>(codes)
            }
            .scope_boxed()
        });
        work.await.unwrap()
    }

    pub async fn post(&self, transfers: &[Transfer], deeds: &[Deed]) -> Vec<Option<Overdrawn>> {
        let opened = transfers.iter().zip(deeds).filter(|(_, deed)| deed.is_opened);
        let keys: &Vec<AccountKey> = &opened.flat_map(|(transfer, _)| [transfer.debit, transfer.credit]).collect();
        let (scope, now) = (&self.scope, self.env.now());
        let work = self.desk.db.transaction(|conn| {
            async move {
                let mut books = Books::open(conn, scope, now, keys).await?;
                let refused = transfers.iter().map(|transfer| books.post(*transfer).err()).collect();
                books.close(conn, scope).await?;
                Ok::<Vec<Option<Overdrawn>>, Error>(refused)
            }
            .scope_boxed()
        });
        work.await.unwrap()
    }

    pub fn transfer(&self, deed: &Deed) -> Transfer {
        let key = |(bucket, owner_id, currency): Account| {
            let currency = currency.parse().unwrap();
            match bucket {
                "funding" => AccountKey::funding(&self.scope, currency),
                _ => AccountKey::budget(owner_id, currency, true),
            }
        };
        let (id, debit, credit) = (self.env.new_id(), key(deed.from), key(deed.to));
        let (amount_minor, kind) = (deed.minor, TransferKind::Fund);
        Transfer { id, debit, credit, amount_minor, kind, reward_id: None, campaign_id: Some(CAMPAIGN) }
    }

    pub async fn draft(&mut self, owner: usize, minimum: Option<i64>) -> Option<Code> {
        let new = &NewPayout { minimum: minimum.map(usd), ..all_of(self.owners[owner]) };
        let (scope, env) = (&self.maker, &self.env);
        let work = self
            .desk
            .db
            .transaction(|conn| async move { payouts::create(conn, scope, env, new.clone()).await }.scope_boxed());
        let made = work.await;
        self.payouts.extend(made.as_ref().ok());
        code(made)
    }

    /// Brings a payout on its way.
    pub async fn push(&self, place: usize, to: PayoutState) -> Option<Code> {
        let (id, maker, checker, env) = (self.payouts[place], &self.maker, &self.checker, &self.env);
        let work = self.desk.db.transaction(|conn| {
            async move {
                match to {
                    PayoutState::Approved => payouts::approve(conn, checker, env, id, None).await,
                    PayoutState::Canceled => payouts::cancel(conn, maker, env, id, "Not now.").await,
                    PayoutState::Paid => payouts::mark_paid(conn, maker, env, id, "tr_1").await,
                    _ => payouts::mark_failed(conn, maker, env, id, "The account is closed.", None).await,
                }
            }
            .scope_boxed()
        });
        code(work.await)
    }

    pub async fn alert(&mut self, referee: usize) {
        let (brand, member, id) = (self.scope.brand_id, self.referees[referee], self.env.new_id());
        self.alerts[referee] = id;
        let sentence = format!(
            "update brand_counters set value = value + 1 where brand_id = '{brand}' and name = 'outbox';
             insert into fraud_assessments (brand_id, id, subject_kind, subject_id, policy_version, decision, score_ppm, signals, assessed_at)
             select brand_id, '{id}', 'member', id, 1, 'REVIEW', 400000, '[]', created_at from members
             where brand_id = '{brand}' and id = '{member}';
             insert into fraud_alerts (brand_id, id, seq, cause_key, assessment_id, subject_kind, subject_id, decision, score_ppm, signals,
                                       occurrence_count, state, at_risk_minor, currency, raised_at)
             select m.brand_id, '{id}', c.value, '{id}', '{id}', 'member', m.id, 'REVIEW', 400000, '[]', 1, 'OPEN', 0, 'USD', m.created_at
             from members m join brand_counters c on c.brand_id = m.brand_id and c.name = 'outbox'
             where m.brand_id = '{brand}' and m.id = '{member}';
             insert into outbox (brand_id, seq, topic, subject_id, recorded_at)
             select brand_id, seq, 'fraud_alert.raised', id, raised_at from fraud_alerts where brand_id = '{brand}' and id = '{id}'"
        );
        self.desk.execute(&sentence).await;
    }

    pub async fn review(&self, referee: usize, is_fraud: bool) {
        let state = if is_fraud { "CONFIRMED" } else { "DISMISSED" };
        let (brand, id) = (self.scope.brand_id, self.alerts[referee]);
        let set = format!("update fraud_alerts set state = '{state}', reviewed_at = raised_at");
        self.desk.execute(&format!("{set} where brand_id = '{brand}' and id = '{id}'")).await;
    }

    /// The boxes and the sums are those of the child.
    pub async fn compare(&self, child: &Child, after: &str) {
        use diesel_async::RunQueryDsl as _;

        let conn = &mut *self.desk.db.conn().await.unwrap();
        let boxes: Vec<Text> =
            sql("select bucket || ':' || owner_id || ':' || currency || '=' || (credit_minor - debit_minor) as text
             from ledger_accounts where brand_id = $1 and credit_minor <> debit_minor")
            .bind::<SqlUuid, _>(self.scope.brand_id)
            .load(conn)
            .await
            .unwrap();
        let mut boxes: Vec<String> = boxes.into_iter().map(|found| found.text).collect();
        boxes.sort_unstable();
        assert_eq!(boxes, child.boxes_shown(), "{after}");
        let sums: Sums = sql("select c.seq as chain_seq,
                (select count(*) from ledger_transfers where brand_id = $1) as transfer_count,
                (select count(*) from (select currency from ledger_accounts where brand_id = $1
                                       group by currency having sum(credit_minor) <> sum(debit_minor)) lopsided) as lopsided_count,
                (select coalesce(sum(credit_minor - debit_minor), 0)::int8 from ledger_accounts
                 where brand_id = $1 and bucket = 'escrow') as escrow_minor,
                (select coalesce(sum(amount_minor - reversed_minor), 0)::int8 from rewards
                 where brand_id = $1 and state in ('ESCROWED', 'HELD')) as escrowed_minor
             from ledger_chains c where c.brand_id = $1")
        .bind::<SqlUuid, _>(self.scope.brand_id)
        .get_result(conn)
        .await
        .unwrap();
        let (chain_seq, escrow_minor) = (child.transfer_count, child.escrowed());
        let (transfer_count, escrowed_minor) = (chain_seq, escrow_minor);
        assert_eq!(
            sums,
            Sums { chain_seq, transfer_count, lopsided_count: 0, escrow_minor, escrowed_minor },
            "{after}"
        );
    }

    /// Every reward and every payout is where the child has it.
    pub async fn compare_all(&self, child: &Child) {
        let conn = &mut *self.desk.db.conn().await.unwrap();
        let found = rewards_by_ids(conn, &self.scope, &self.rewards).await.unwrap();
        assert_eq!((found.len(), self.rewards.len()), (child.rewards.len(), child.rewards.len()));
        for (id, expected) in self.rewards.iter().zip(&child.rewards) {
            assert_eq!(found[id].state, expected.state, "{:?}", found[id]);
        }
        let found = payouts_by_ids(conn, &self.scope, &self.payouts).await.unwrap();
        assert_eq!(self.payouts.len(), child.payouts.len());
        for (id, expected) in self.payouts.iter().zip(&child.payouts) {
            let payout = &found[id];
            let pays = usize::try_from(payout.payable_count).unwrap();
            assert_eq!(
                (payout.state, pays, payout.netted.minor),
                (expected.state, expected.pays.len(), expected.netted)
            );
            assert_eq!(payout.gross.minor, child.gross(&expected.pays), "{payout:?}");
        }
    }
}

/// Members of the brand, made as members are, in the order of their numbers.
async fn join(desk: &Desk, scope: &Scope) -> Vec<Uuid> {
    use diesel_async::RunQueryDsl as _;

    let signup = |number: usize| json!({"event_type": "signup", "user_id": format!("m{number}"), "campaign": "launch"});
    let signups = Value::Array((0..MEMBERS).map(signup).collect()).to_string();
    let items = parse(Scheme::Generic, signups.as_bytes()).items;
    let receipts = desk.door.accept(&Origin::first_party(scope.clone()), items).await.unwrap();
    assert!(receipts.iter().all(|receipt| receipt.code.is_none()), "{receipts:?}");
    desk.drain().await;
    let conn = &mut *desk.db.conn().await.unwrap();
    let found: Vec<Text> = sql("select id::text as text from members where brand_id = $1 order by number")
        .bind::<SqlUuid, _>(scope.brand_id)
        .load(conn)
        .await
        .unwrap();
    assert_eq!(found.len(), MEMBERS);
    found.iter().map(|found| found.text.parse().unwrap()).collect()
}
