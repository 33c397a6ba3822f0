//! A database of the time before downlines were kept: its chains, cut into segments by rows of a table, get the paths and the sums of
//! today, and the way back leads to where it was.

use std::path::{Path, PathBuf};

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use grapevine::access::brand_by_slug;
use grapevine::base::{Clock, SystemClock};
use grapevine::db::{migrate, sql};
use grapevine::members::place;

use crate::support::{Database, connect};

/// The migration under test.
const KEPT: &str = "2026-11-21-001400_keep_downlines";
/// Levels of a segment before.
const LEVELS: usize = 64;

fn migrations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn name(migration: &Path) -> &str {
    migration.file_name().unwrap().to_str().unwrap()
}

/// Applies all migrations before the one under test, and writes them down as the migrator does.
async fn apply_those_before(conn: &mut AsyncPgConnection) {
    conn.batch_execute("create table __diesel_schema_migrations (version varchar(50) primary key, run_on timestamp not null default now())")
        .await
        .unwrap();
    for migration in migrations().iter().take_while(|migration| name(migration) < KEPT) {
        let text = std::fs::read_to_string(migration.join("up.sql")).unwrap();
        conn.batch_execute(&text).await.unwrap();
        let version = name(migration).split('_').next().unwrap().replace('-', "");
        conn.batch_execute(&format!("insert into __diesel_schema_migrations (version) values ('{version}')"))
            .await
            .unwrap();
    }
}

/// The label of a number in base 36, as paths spell it.
fn label(number: usize) -> String {
    place(None, i64::try_from(number).unwrap()).path
}

/// A chain of 200 with a twig of two below every tenth member, paths as they were: the child of a full path begins a new one, and a row
/// names the path of its referrer.
async fn plant(conn: &mut AsyncPgConnection) {
    let mut above: Vec<Option<usize>> = (0..200_usize).map(|index| index.checked_sub(1)).collect();
    for twig in 0..20 {
        let first = above.len();
        above.extend([Some(twig * 10), Some(first)]);
    }
    conn.batch_execute(
        "insert into brands (id, slug, name, currency, shard, created_at) values (md5('b')::uuid, 'acme', 'Acme', 'USD', 0, now());
         insert into brand_counters (brand_id, name, value) values (md5('b')::uuid, 'members', 240), (md5('b')::uuid, 'outbox', 0), (md5('b')::uuid, 'outbox_published', 0);
         insert into people (brand_id, id, canonical_id, created_at) values (md5('b')::uuid, md5('p')::uuid, md5('p')::uuid, now())",
    )
    .await
    .unwrap();
    let (mut members, mut segments) = (String::new(), String::new());
    let mut places: Vec<(String, usize)> = Vec::new();
    for (index, above) in above.iter().enumerate() {
        let label = label(index + 1);
        let (path, depth) = match above.map(|above| &places[above]) {
            None => (label, 0),
            Some((path, depth)) if path.split('.').count() < LEVELS => (format!("{path}.{label}"), depth + 1),
            Some((path, depth)) => {
                segments += &format!(
                    "insert into member_segments (brand_id, root_member_id, parent_path)
                     values (md5('b')::uuid, md5('m{index}')::uuid, '{path}');"
                );
                (label, depth + 1)
            }
        };
        let referrer = above.map_or("null".to_owned(), |above| format!("md5('m{above}')::uuid"));
        let activated_at = if index % 3 == 0 { format!("now() - interval '{index} hours'") } else { "null".to_owned() };
        members += &format!(
            "insert into members (brand_id, id, number, status, referrer_id, path, depth, joined_at, signed_up_at, activated_at, created_at)
             values (md5('b')::uuid, md5('m{index}')::uuid, {index} + 1, 'SIGNED_UP', {referrer}, '{path}', {depth},
                     now() - interval '90 days', now() - interval '{index} days', {activated_at}, now());"
        );
        places.push((path, depth));
    }
    conn.batch_execute(&members).await.unwrap();
    conn.batch_execute(&segments).await.unwrap();
    conn.batch_execute(SALES).await.unwrap();
}

/// A sale of every member, a tenth of them in another currency, and a part of most given back.
const SALES: &str = "update members m set referee_count = (select count(*) from members r where r.referrer_id = m.id);
    insert into conversions (brand_id, id, person_id, member_id, generation, amount_minor, refunded_minor, currency, occurred_at, recorded_at)
    select brand_id, md5('c' || number)::uuid, md5('p')::uuid, id, 0, 1000 + number, number % 7, case when number % 10 = 9 then 'EUR' else 'USD' end,
           now() - make_interval(days => (number % 40)::int4), now() from members;
    insert into refunds (brand_id, id, order_id, conversion_id, amount_minor, currency, occurred_at)
    select brand_id, md5('r' || id)::uuid, 'o', id, refunded_minor, currency, now() from conversions where refunded_minor > 0;";

#[derive(Debug, PartialEq, QueryableByName)]
struct MemberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Text)]
    path: String,
    #[diesel(sql_type = Integer)]
    depth: i32,
    #[diesel(sql_type = Nullable<Text>)]
    parent_path: Option<String>,
}

/// Every member with its path, and the path of its referrer where a row of the table says so.
async fn members(conn: &mut AsyncPgConnection, has_segments: bool) -> Vec<MemberRow> {
    let text = if has_segments {
        "select m.number, m.path::text as path, m.depth, s.parent_path::text as parent_path
         from members m left join member_segments s on s.root_member_id = m.id order by m.number"
    } else {
        "select number, path::text as path, depth, null::text as parent_path from members order by number"
    };
    sql(text).load(conn).await.unwrap()
}

/// The invariants of the forest that are broken.
async fn breaches(conn: &mut AsyncPgConnection) -> Vec<String> {
    let brand = brand_by_slug(conn, "acme").await.unwrap().unwrap();
    let findings = grapevine::verify::check(conn, &brand, SystemClock.now()).await.unwrap();
    // The sales were made without events: nothing but the forest is looked at here.
    let is_of_forest = |name: &str| !name.contains("has its event");
    let broken = findings.into_iter().filter(|one| one.breach_count > 0 && is_of_forest(one.invariant));
    broken.map(|one| format!("{}: {}", one.invariant, one.breach_count)).collect()
}

#[derive(QueryableByName)]
struct SumsRow {
    #[diesel(sql_type = BigInt)]
    member_count: i64,
    #[diesel(sql_type = BigInt)]
    activated_count: i64,
    #[diesel(sql_type = BigInt)]
    active_count: i64,
}

#[tokio::test]
async fn a_chain_of_two_hundred_gets_the_paths_and_sums_of_today_and_goes_back() {
    let database = Database::create_bare().await;
    let mut conn = connect(&database.url).await;
    apply_those_before(&mut conn).await;
    plant(&mut conn).await;
    let before = members(&mut conn, true).await;
    assert_eq!(
        before.iter().filter(|row| row.parent_path.is_some()).count(),
        4,
        "the chain is cut three times, and one twig is"
    );

    migrate(&database.url).await.unwrap();
    assert_eq!(breaches(&mut conn).await, Vec::<String>::new());
    let mut expected: Vec<(String, i32)> = Vec::new();
    for (index, row) in members(&mut conn, false).await.into_iter().enumerate() {
        let above = if index < 200 {
            index.checked_sub(1)
        } else {
            Some(if index % 2 == 0 { (index - 200) * 5 } else { index - 1 })
        };
        let above = above.map(|above| (expected[above].0.as_str(), expected[above].1));
        let placed = place(above, row.number);
        assert_eq!((&row.path, row.depth), (&placed.path, placed.depth), "member {}", row.number);
        expected.push((placed.path, placed.depth));
    }
    let sums: SumsRow =
        sql("select sum(member_count)::int8 as member_count, sum(activated_count)::int8 as activated_count,
                (select sum(member_count)::int8 from member_activity_days where member_number = 1) as active_count
         from member_downlines where member_number = 1")
        .get_result(&mut conn)
        .await
        .unwrap();
    // The head keeps what stands down to the first anchor: 63 of the chain, and the twigs of the members 0, 10, ... 60.
    assert_eq!((sums.member_count, sums.activated_count, sums.active_count), (63 + 14, 21 + 5, 63 + 14));

    for migration in migrations().iter().rev().take_while(|migration| name(migration) >= KEPT) {
        let text = std::fs::read_to_string(migration.join("down.sql")).unwrap();
        conn.batch_execute(&text).await.unwrap();
        let version = name(migration).split('_').next().unwrap().replace('-', "");
        conn.batch_execute(&format!("delete from __diesel_schema_migrations where version = '{version}'"))
            .await
            .unwrap();
    }
    assert_eq!(members(&mut conn, true).await, before);
    migrate(&database.url).await.unwrap();
    assert_eq!(breaches(&mut conn).await, Vec::<String>::new(), "up again");
    drop(conn);
    database.remove().await;
}
