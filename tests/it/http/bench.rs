//! Temporary.
use grapevine::{access::*, app::App, base::*, config::Settings, db};
use std::sync::Arc;
pub struct TestApp {
    pub app: App,
    pub brand: Brand,
}
impl TestApp {
    pub async fn new() -> Self {
        let name = format!("doors_{}", Env::system().new_id().simple());
        let out = std::process::Command::new("psql")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                "55432",
                "-U",
                "grapevine",
                "postgres",
                "-c",
                &format!("create database {name}"),
            ])
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        let url = format!("postgres://grapevine@127.0.0.1:55432/{name}");
        db::migrate(&url).await.unwrap();
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: "http://localhost:8080".into(),
            database_url: url,
            database_pool_size: 5,
            redis_url: "redis://127.0.0.1:1/".into(),
            redis_prefix: "doors:".into(),
            secret: [7; 32],
            data_dir: "/tmp/x".into(),
        };
        let app = App::new(settings, Env::system()).unwrap();
        let mut conn = app.db.conn().await.unwrap();
        let brand = create_brand(
            &mut conn,
            &app.env,
            NewBrand { slug: "b".into(), name: "B".into(), currency: "USD".parse().unwrap() },
        )
        .await
        .unwrap();
        drop(conn);
        let _ = Arc::new(());
        Self { app, brand }
    }
    pub fn scope(&self) -> Scope {
        self.brand.scope()
    }
    pub async fn admin_key(&self) -> String {
        let mut conn = self.app.db.conn().await.unwrap();
        create_key(
            &mut conn,
            &self.brand.scope(),
            &self.app.env,
            NewApiKey { name: "t".into(), role: Role::Admin, creator_id: None, expires_at: None },
        )
        .await
        .unwrap()
        .1
    }
}
