//! The test kit itself.

use chrono::TimeDelta;
use grapevine::access::{Role, authenticate};

use crate::support::{Database, TestApp, connect};

#[tokio::test]
async fn two_apps_share_nothing() {
    let (one, other) = tokio::join!(TestApp::start(), TestApp::start());
    one.execute("update brands set name = 'Changed'").await;
    assert_eq!(one.sql_count("select count(*) from brands where name = 'Changed'").await, 1);
    assert_eq!(other.sql_count("select count(*) from brands where name = 'Changed'").await, 0);
    one.kv.set_global("name", "one", 60).await.unwrap();
    assert_eq!(other.kv.get_global("name").await.unwrap(), None);
}

#[tokio::test]
async fn the_clock_stands_still_until_it_is_moved() {
    let app = TestApp::start().await;
    let before = app.now();
    app.advance(TimeDelta::hours(1));
    assert_eq!(app.now() - before, TimeDelta::hours(1));
}

#[tokio::test]
async fn statements_are_counted() {
    let app = TestApp::start().await;
    let before = app.statement_count();
    app.sql_count("select count(*) from brands").await;
    // The pool may ask whether a connection that it lends again still lives.
    assert!((1..=2).contains(&(app.statement_count() - before)));
}

#[tokio::test]
async fn keys_open_the_brand() {
    let app = TestApp::start().await;
    let mut conn = app.db.conn().await.unwrap();
    let scope = authenticate(&mut conn, &app.env, &app.key).await.unwrap().unwrap();
    assert_eq!((scope.brand_id, scope.role), (app.brand.id, Role::Admin));
    let viewer = app.key_of(Role::Viewer).await;
    let scope = authenticate(&mut conn, &app.env, &viewer).await.unwrap().unwrap();
    assert_eq!(scope.role, Role::Viewer);
}

#[tokio::test]
async fn a_removed_database_is_gone() {
    let database = Database::create().await;
    database.remove().await;
    let gone = std::panic::AssertUnwindSafe(connect(&database.url));
    assert!(futures_util::FutureExt::catch_unwind(gone).await.is_err());
}
