//! The schema as data: what every table must keep to, and that the migrations go both ways.

use std::collections::BTreeMap;

use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use grapevine::db::{Db, analyze_grown, migrate, revert_all, schema_text, sql};

use crate::support::{Database, connect};

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

async fn lines(conn: &mut AsyncPgConnection, text: &'static str) -> Vec<String> {
    let found: Vec<Line> = sql(text).load(conn).await.unwrap();
    found.into_iter().map(|found| found.line).collect()
}

/// Fails with every line that the statement finds.
async fn expect_none(text: &'static str) {
    let database = Database::create().await;
    let found = lines(&mut connect(&database.url).await, text).await;
    database.remove().await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Everything that a migration can make, one line each.
const DUMP: &str = "
    with own as (
        select c.oid, c.relname, c.relkind from pg_class c
        where c.relnamespace = current_schema()::regnamespace and c.relname not like '\\_\\_diesel%'
    )
    select format('column %s.%s %s %s %s %s', own.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                  a.attidentity, pg_get_expr(d.adbin, d.adrelid)) as line
    from own join pg_attribute a on a.attrelid = own.oid and a.attnum > 0 and not a.attisdropped and own.relkind in ('r', 'v', 'p')
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    union all select format('constraint %s.%s %s', own.relname, k.conname, pg_get_constraintdef(k.oid))
    from own join pg_constraint k on k.conrelid = own.oid
    union all select format('index %s', pg_get_indexdef(own.oid)) from own where relkind = 'i'
    union all select format('view %s %s', own.relname, pg_get_viewdef(own.oid)) from own where relkind = 'v'
    union all select format('other %s %s', own.relkind, own.relname) from own where relkind not in ('r', 'i', 'v')
    union all select format('trigger %s.%s', own.relname, t.tgname) from own join pg_trigger t on t.tgrelid = own.oid
    where not t.tgisinternal
    order by 1";

#[tokio::test]
async fn migrations_go_up_down_and_up_to_the_same_schema() {
    let database = Database::create_bare().await;
    let applied = migrate(&database.url).await.unwrap();
    assert!(!applied.is_empty());
    let first = lines(&mut connect(&database.url).await, DUMP).await;
    assert!(first.iter().any(|line| line.starts_with("column members.path ltree")), "the dump sees columns");

    assert_eq!(revert_all(&database.url).await.unwrap(), applied.len());
    assert_eq!(lines(&mut connect(&database.url).await, DUMP).await, Vec::<String>::new(), "down.sql leaves nothing");

    migrate(&database.url).await.unwrap();
    assert_eq!(lines(&mut connect(&database.url).await, DUMP).await, first);
    assert_eq!(migrate(&database.url).await.unwrap(), Vec::<String>::new(), "there is nothing left to apply");
    database.remove().await;
}

#[tokio::test]
async fn schema_rs_is_fresh() {
    let database = Database::create().await;
    let expected = schema_text(&mut connect(&database.url).await).await.unwrap();
    database.remove().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/schema.rs");
    if std::env::var_os("GRAPEVINE_WRITE").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap();
    assert!(found == expected, "src/db/schema.rs is stale: run ./dev generate");
}

#[tokio::test]
async fn every_foreign_key_has_an_index_that_its_columns_lead() {
    expect_none(
        "select format('%s: %s', k.conrelid::regclass, k.conname) as line from pg_constraint k
         where k.contype = 'f' and k.connamespace = current_schema()::regnamespace
         and not exists (
             select from pg_index i
             where i.indrelid = k.conrelid and i.indpred is null
             and (select array_agg(n order by n) from unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) n)
               = (select array_agg(n order by n) from unnest(k.conkey) n)
         )",
    )
    .await;
}

#[tokio::test]
async fn no_table_has_a_trigger_but_the_guards_which_only_refuse() {
    expect_none(
        "select t.tgrelid::regclass || ': ' || t.tgname as line from pg_trigger t join pg_proc p on p.oid = t.tgfoid
         where not t.tgisinternal and (t.tgname not like '%\\_guard' or p.proname not like 'books\\_refuse%')",
    )
    .await;
}

#[tokio::test]
async fn every_key_of_a_brand_s_table_leads_with_the_brand() {
    expect_none(
        "select format('%s: %s', k.conrelid::regclass, k.conname) as line
         from pg_constraint k
         join pg_attribute brand on brand.attrelid = k.conrelid and brand.attname = 'brand_id'
         where k.contype in ('p', 'u', 'f') and k.connamespace = current_schema()::regnamespace and k.conkey[1] <> brand.attnum
         union all
         select format('%s: unique %s', i.indrelid::regclass, i.indexrelid::regclass)
         from pg_index i
         join pg_attribute brand on brand.attrelid = i.indrelid and brand.attname = 'brand_id'
         join pg_class c on c.oid = i.indrelid and c.relnamespace = current_schema()::regnamespace
         where i.indisunique and i.indkey[0] <> brand.attnum",
    )
    .await;
}

#[tokio::test]
async fn names_say_table_and_kind() {
    expect_none(
        "select format('%s: %s', c.relname, k.conname) as line
         from pg_constraint k join pg_class c on c.oid = k.conrelid
         where c.relnamespace = current_schema()::regnamespace and c.relname not like '\\_\\_diesel%'
         and k.conname !~ ('^' || c.relname || case k.contype
             when 'p' then '_pkey$' when 'u' then '_[a-z0-9_]+_key$' when 'f' then '_[a-z0-9_]+_fkey$' else '_[a-z0-9_]+_check$' end)
         union all
         select format('%s: %s', c.relname, x.relname) from pg_index i
         join pg_class c on c.oid = i.indrelid and c.relnamespace = current_schema()::regnamespace
         join pg_class x on x.oid = i.indexrelid
         where not exists (select from pg_constraint k where k.conindid = x.oid) and c.relname not like '\\_\\_diesel%'
         and x.relname !~ ('^' || c.relname || '_[a-z0-9_]+_idx$')",
    )
    .await;
}

#[tokio::test]
async fn moments_carry_a_zone_and_money_is_whole() {
    expect_none(
        "select format('%s.%s is %s', table_name, column_name, data_type) as line from information_schema.columns
         where table_schema = current_schema() and table_name not like '\\_\\_diesel%' and (
             (column_name like '%\\_at' and data_type <> 'timestamp with time zone')
             or (column_name like '%\\_minor' and data_type not in ('bigint', 'numeric'))
             or data_type in ('real', 'double precision', 'money', 'timestamp without time zone')
         )",
    )
    .await;
}

/// The closed sets that Rust holds too, by the constraint that holds them in SQL.
fn rust_sets() -> BTreeMap<&'static str, Vec<&'static str>> {
    use grapevine::{
        access, attribution, campaigns, creators, deliveries, events, fraud, identity, ingest, journeys, ledger, links,
        members, outbound, outbox, payouts, platforms, rewards, urls,
    };
    macro_rules! names {
        ($($set:ty),+) => { [$(<$set>::ALL.iter().map(|name| name.as_str()).collect::<Vec<_>>()),+] };
    }
    let [platform, creator_status, member_status] =
        names![creators::Platform, creators::CreatorStatus, members::MemberStatus];
    let [objective, campaign_status, model, reward_kind] = names![
        campaigns::CampaignObjective,
        campaigns::CampaignStatus,
        campaigns::AttributionModel,
        campaigns::RewardKind
    ];
    let [touch_kind, agent_class, event_state, verb] =
        names![events::TouchKind, events::AgentClass, events::StoredState, ingest::RulingVerb];
    let [bucket, owner, topic, scheme, identifier, role] =
        names![ledger::Bucket, ledger::Owner, outbox::Topic, platforms::Scheme, identity::IdentifierKind, access::Role];
    let [decision, alert_state, subject, reward_state, channel] =
        names![journeys::Decision, fraud::reads::AlertState, fraud::SubjectKind, rewards::RewardState, urls::Channel];
    let [claim_method] = names![links::ClaimMethod];
    let [breaker_state, delivery_state] = names![outbound::BreakerState, deliveries::DeliveryState];
    let [payout_state, line_reason] = names![payouts::PayoutState, payouts::LineReason];
    let [method, transform] = names![campaigns::DataDrivenMethod, campaigns::PathTransform];
    let [dimension, span] = names![attribution::report::Dimension, attribution::report::kept::Span];
    BTreeMap::from([
        ("api_keys_role_check", role),
        ("attribution_records_model_check", model),
        ("campaigns_objective_check", objective),
        ("campaigns_status_check", campaign_status),
        ("creators_status_check", creator_status),
        ("data_driven_models_method_check", method),
        ("data_driven_models_transform_check", transform),
        ("event_rulings_verb_check", verb),
        ("events_state_check", event_state),
        ("fraud_alerts_state_check", alert_state),
        ("fraud_alerts_subject_kind_check", subject.clone()),
        ("fraud_assessments_decision_check", decision.clone()),
        ("fraud_assessments_subject_kind_check", subject),
        ("identities_kind_check", identifier),
        ("ledger_accounts_bucket_check", bucket),
        ("ledger_accounts_owner_kind_check", owner),
        ("link_claims_method_check", claim_method),
        ("link_visits_device_check", vec!["IOS", "ANDROID"]),
        ("links_platform_check", platform.clone()),
        ("members_status_check", member_status),
        ("outbox_topic_check", topic),
        ("payout_lines_reason_check", line_reason),
        ("payouts_state_check", payout_state),
        ("platform_accounts_platform_check", platform),
        ("platform_calls_state_check", breaker_state),
        ("report_spans_span_check", span),
        ("report_sums_dimension_check", dimension),
        ("rewards_kind_check", reward_kind),
        ("rewards_state_check", reward_state),
        ("touchpoints_agent_class_check", agent_class),
        ("touchpoints_channel_check", channel),
        ("touchpoints_decision_check", decision),
        ("touchpoints_kind_check", touch_kind),
        ("webhook_deliveries_state_check", delivery_state),
        ("webhook_sources_scheme_check", scheme),
    ])
}

/// Sets that no Rust enum mirrors one to one: names of rows, and sets of which Rust writes only a part.
const SQL_ONLY: &[&str] = &["brand_counters_name_check", "fraud_alerts_decision_check", "ledger_transfers_kind_check"];

#[tokio::test]
async fn closed_sets_are_the_same_in_sql_and_in_rust() {
    let database = Database::create().await;
    let found = lines(
        &mut connect(&database.url).await,
        "select conname || ' ' || pg_get_constraintdef(oid) as line from pg_constraint
         where contype = 'c' and connamespace = current_schema()::regnamespace and conrelid <> 0
         and pg_get_constraintdef(oid) ~ '^CHECK \\(\\([a-z_]+ = '",
    )
    .await;
    database.remove().await;
    let mut in_rust = rust_sets();
    for line in &found {
        let (name, definition) = line.split_once(' ').unwrap();
        let quoted = definition.split('\'').skip(1).step_by(2);
        let mut in_sql: Vec<&str> = quoted.collect();
        match in_rust.remove(name) {
            Some(mut names) => {
                in_sql.sort_unstable();
                names.sort_unstable();
                assert_eq!(in_sql, names, "{name}");
            }
            None => {
                assert!(SQL_ONLY.contains(&name) || in_sql.is_empty(), "{name} has no entry in this test: {in_sql:?}")
            }
        }
    }
    assert!(in_rust.is_empty(), "these constraints are not in the database: {in_rust:?}");
}

#[tokio::test]
async fn a_table_that_has_doubled_is_looked_at_anew() {
    let database = Database::create().await;
    let db = Db::connect(&database.url, 2).unwrap();
    let mut conn = connect(&database.url).await;
    let fill = "insert into people (brand_id, id, canonical_id, created_at)
         select b.id, n.id, n.id, now() from brands b, (select gen_random_uuid() as id from generate_series(1, 2000)) n";
    conn.batch_execute(
        "insert into brands (id, slug, name, currency, shard, created_at)
         values (gen_random_uuid(), 'grown', 'Grown', 'USD', 0, now())",
    )
    .await
    .unwrap();
    conn.batch_execute(fill).await.unwrap();
    conn.batch_execute("select pg_stat_force_next_flush()").await.unwrap();
    assert!(analyze_grown(&db).await.unwrap() >= 1);
    let known =
        lines(&mut conn, "select (reltuples >= 2000)::text as line from pg_class where relname = 'people'").await;
    assert_eq!(known, ["true"]);
    assert_eq!(analyze_grown(&db).await.unwrap(), 0, "what was looked at is not looked at again");
    drop(conn);
    database.remove().await;
}
