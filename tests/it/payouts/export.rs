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
    // More than two pages of the same moment.
    desk.earn_many(creator(1), 1_100).await;
    desk.try_issue(creator(1), 1).await.unwrap();
    let rows = lines(&export(&desk, &["rewards", "--format", "ndjson"]).await);
    let keys: std::collections::BTreeSet<&str> = rows.iter().map(|row| row["reward_id"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), keys.len()), (1_101, 1_101));
    assert!(rows.iter().all(|row| row["amount"] == "0.01" && row["amount_minor"] == 1 && row["campaign"] == "launch"));
    assert_eq!(rows.iter().filter(|row| row["state"] == "ESCROWED").count(), 1);
    let csv = export(&desk, &["rewards", "--format", "csv"]).await;
    assert_eq!(csv.lines().count(), 1_102);
    assert!(csv.starts_with("reward_id,state,kind,degree,"));
}
