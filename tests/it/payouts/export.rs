//! Files for finance and for payment providers, written by the real binary.

use serde_json::{Value, json};

use super::{Desk, creator};
use crate::support::binary;

async fn export(desk: &Desk, arguments: &[&str]) -> String {
    let output = binary(&desk.app).arg("export").args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_are_exported_with_exact_money_and_no_formula() {
    let desk = Desk::open().await;
    let member = desk.join("=cmd|x").await;
    for (beneficiary, minor) in [(creator(1), 1_250), (member, 99), (creator(3), 5)] {
        desk.earn(beneficiary, minor).await;
    }
    desk.pay_out(creator(1)).await;
    desk.pay_out(member).await;
    desk.draft(creator(3)).await;
    let query = "query($m: String!) { member(externalId: $m) { balances { amount } payouts { totalCount nodes { amount { amount }
        fraudMetrics { events openAlerts } } } } }";
    let shown = desk.data(query, json!({ "m": "=cmd|x" })).await;
    let payouts = json!({ "totalCount": 1, "nodes": [{ "amount": { "amount": "0.99" }, "fraudMetrics": { "events": 0, "openAlerts": 0 } }] });
    assert_eq!(shown["member"], json!({ "balances": [{ "amount": "0.00" }], "payouts": payouts }));
    let csv = export(&desk, &["payouts", "--state", "APPROVED"]).await;
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 3, "{csv}");
    assert!(
        rows[0]
            .starts_with("payout_id,state,beneficiary_kind,beneficiary_id,beneficiary,currency,amount,amount_minor,")
    );
    assert!(csv.contains(",creator1,USD,12.50,1250,12.50,1250,0.00,0,1,"), "{csv}");
    assert!(csv.contains(",'=cmd|x,USD,0.99,99,"), "a name is no formula: {csv}");
    let all = lines(&export(&desk, &["payouts", "--format", "ndjson"]).await);
    assert_eq!(all.len(), 3);
    let formula = all.iter().find(|payout| payout["amount_minor"] == 99).unwrap();
    assert_eq!(
        (&formula["beneficiary"], &formula["amount"], &formula["reason"]),
        (&"=cmd|x".into(), &"0.99".into(), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rewards_are_exported_whole_over_any_number_of_pages() {
    let desk = Desk::open().await;
    for _ in 0..3 {
        desk.try_issue(creator(1), 7).await.unwrap();
    }
    // More than two pages of what was denied, which is cheap to make.
    desk.execute(
        "insert into rewards (brand_id, id, idempotency_key, campaign_id, policy_version, kind, beneficiary_creator_id, degree, amount_minor,
                              currency, state, reason, triggered_at)
         select r.brand_id, gen_random_uuid(), 'made-' || n, r.campaign_id, 1, 'CREDIT', r.beneficiary_creator_id, 1, 7, 'USD', 'REJECTED',
                'DAILY_CAP', r.triggered_at - make_interval(secs => n / 3)
         from (select * from rewards limit 1) r, generate_series(1, 1100) n;
         with numbered as (select r.brand_id, r.id, row_number() over () as n from rewards r where idempotency_key like 'made-%')
         insert into outbox (brand_id, seq, topic, subject_id, recorded_at)
         select n.brand_id, c.value + n.n, 'reward.changed', n.id, now() from numbered n
         join brand_counters c on c.brand_id = n.brand_id and c.name = 'outbox';
         update brand_counters set value = value + 1100 where name = 'outbox'",
    )
    .await;
    let rows = lines(&export(&desk, &["rewards", "--format", "ndjson"]).await);
    let keys: std::collections::BTreeSet<&str> = rows.iter().map(|row| row["reward_id"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), keys.len()), (1_103, 1_103));
    assert!(rows.iter().all(|row| row["amount"] == "0.07" && row["amount_minor"] == 7 && row["campaign"] == "launch"));
    assert_eq!(rows.iter().filter(|row| row["state"] == "ESCROWED").count(), 3);
    let csv = export(&desk, &["rewards", "--format", "csv"]).await;
    assert_eq!(csv.lines().count(), 1_104);
    assert!(csv.starts_with("reward_id,state,kind,degree,"));
}
