//! Attribution against the packages of other people (PyPI `marketing_attribution_models` and `ChannelAttribution`) on generated journeys: equal
//! totals wherever the definitions agree. Where they do not is told in docs/attribution.md.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use grapevine::attribution::paths::{Summary, Transform, credit};
use grapevine::attribution::{WEIGHT_UNITS, markov, weights};
use grapevine::base::{Chance, SeededChance, split_by_weight};
use grapevine::campaigns::{AttributionModel, AttributionPolicy, CampaignObjective};
use serde_json::{Value, json};

use crate::support::peers::run_python;

/// Who touched what how many quarters of an hour before the end, and what it was worth in hundredths.
#[derive(Clone)]
struct Walk {
    channels: Vec<String>,
    quarters: Vec<i64>,
    value_minor: Option<i64>,
}

fn walks() -> Vec<Walk> {
    let chance = SeededChance::from_seed(11);
    let below = |end: u64| {
        let mut bytes = [0; 8];
        chance.fill(&mut bytes);
        i64::try_from(u64::from_be_bytes(bytes) % end).unwrap()
    };
    let walk = |_| {
        let length = 1 + below(6);
        // Later channels of the list are the likelier ones, and likelier to lead somewhere.
        let channels = (0..length).map(|_| format!("c{}", below(7).max(below(7)))).collect::<Vec<_>>();
        let mut quarters: Vec<i64> = (0..length).map(|_| below(2_000)).collect();
        quarters.sort_unstable_by(|a, b| b.cmp(a));
        let is_won = below(10) < 3 + i64::from(channels.contains(&"c6".to_owned()));
        Walk { channels, quarters, value_minor: is_won.then(|| 1 + below(99_999)) }
    };
    (0..400).map(walk).collect()
}

/// The same with only the first touch of each channel.
fn firsts(walks: &[Walk]) -> Vec<Walk> {
    let first = |walk: &Walk| {
        let channels = Transform::First.apply(walk.channels.clone());
        let quarters = walk.quarters[walk.quarters.len() - channels.len()..].to_vec();
        Walk { channels, quarters, value_minor: walk.value_minor }
    };
    walks.iter().map(first).collect()
}

fn asked(walks: &[Walk]) -> Vec<Value> {
    #[expect(clippy::cast_precision_loss, reason = "small numbers of quarters")]
    let hours = |walk: &Walk| walk.quarters.iter().map(|quarters| *quarters as f64 / 4.0).collect::<Vec<_>>();
    walks
        .iter()
        .map(|walk| json!({ "channels": walk.channels, "hours": hours(walk), "value": walk.value_minor }))
        .collect()
}

/// Conversions in parts of a whole one, and hundredths, by channel.
type Credit = BTreeMap<String, (u128, i64)>;

fn ours(walks: &[Walk], model: AttributionModel) -> Credit {
    let policy = AttributionPolicy { model, ..AttributionPolicy::for_objective(CampaignObjective::Awareness) };
    let mut credit = Credit::new();
    for walk in walks {
        let Some(value_minor) = walk.value_minor else { continue };
        let ages: Vec<TimeDelta> = walk.quarters.iter().map(|quarters| TimeDelta::minutes(quarters * 15)).collect();
        let weights = weights::weights(&policy, &ages);
        let amounts = split_by_weight(value_minor, &weights);
        for ((channel, weight), amount) in walk.channels.iter().zip(weights).zip(amounts) {
            let sums = credit.entry(channel.clone()).or_default();
            *sums = (sums.0 + u128::from(weight), sums.1 + amount);
        }
    }
    credit
}

fn summary(walks: &[Walk]) -> Summary {
    let mut summary = Summary::default();
    for walk in walks {
        match walk.value_minor {
            Some(value_minor) => summary.add_conversion(walk.channels.clone(), value_minor.unsigned_abs()),
            None => summary.add_non_conversion(walk.channels.clone()),
        }
    }
    summary
}

#[expect(clippy::cast_precision_loss, reason = "compared with the floating point of others")]
fn near(units: u128, theirs: &Value, tolerance: f64, what: &str) {
    let (found, theirs) = (units as f64 / WEIGHT_UNITS as f64, theirs.as_f64().unwrap_or(0.0));
    assert!((found - theirs).abs() <= tolerance, "{what}: ours {found}, theirs {theirs}");
}

/// Every channel of a model that is divided touch by touch. Theirs divides money as floating point, ours to the last hundredth of each conversion: the
/// totals differ by less than one for each touch.
fn check_model(walks: &[Walk], said: &Value, model: AttributionModel) {
    let theirs = &said["models"][model.as_str()];
    assert!(theirs.is_object(), "{said:#}");
    let touches = |channel: &String| walks.iter().flat_map(|walk| &walk.channels).filter(|one| *one == channel).count();
    for (channel, (units, value_minor)) in ours(walks, model) {
        let what = format!("{} of {channel}", model.as_str());
        near(units, &theirs["conversions"][&channel], 1e-8, &what);
        let theirs = theirs["value"][&channel].as_f64().unwrap_or(0.0);
        #[expect(clippy::cast_precision_loss, reason = "compared with the floating point of others")]
        let (difference, tolerance) = ((value_minor as f64 - theirs).abs(), touches(&channel) as f64);
        assert!(difference <= tolerance, "value of {what}: ours {value_minor}, theirs {theirs}");
    }
}

fn check_markov(walks: &[Walk], firsts: &[Walk], said: &Value) {
    let all = summary(walks);
    let effects = markov::removal_effects(&all).unwrap();
    for (channel, effect) in &effects {
        let units = u128::from(effect.parts(WEIGHT_UNITS));
        near(units, &said["mam"]["removal_effects"][channel], 1e-9, &format!("removal effect of {channel}"));
    }
    // In proportion to removal effects over all conversions: theirs by random walks, to a fiftieth.
    let won = walks.iter().filter(|walk| walk.value_minor.is_some()).count() as u128;
    let theirs = &said["channel_attribution"]["models"]["MARKOV"]["conversions"];
    for (channel, share) in markov::channel_shares(&effects) {
        let tolerance = theirs[&channel].as_f64().unwrap() / 50.0;
        near(u128::from(share) * won, &theirs[&channel], tolerance, &format!("share of {channel}"));
    }
    // Path by path, where no channel comes twice.
    let all = summary(firsts);
    let effects = markov::removal_effects(&all).unwrap();
    let theirs = &said["mam_of_firsts"]["models"]["MARKOV"]["conversions"];
    for (channel, found) in credit(&all, |path| markov::weights(&effects, path)) {
        near(found.conversion_units, &theirs[&channel], 1e-8, &format!("credit of {channel}"));
    }
}

#[tokio::test]
async fn other_peoples_attribution_comes_to_the_same_totals() {
    let walks = walks();
    let firsts = firsts(&walks);
    let question = json!({ "journeys": asked(&walks), "firsts": asked(&firsts) });
    let said = run_python("attribution.py", &question).await;
    assert!(said.is_success, "{}", said.error);
    let said = &said.lines[0];
    for model in [
        AttributionModel::FirstTouch,
        AttributionModel::LastTouch,
        AttributionModel::Linear,
        AttributionModel::PositionBased,
        AttributionModel::TimeDecay,
    ] {
        check_model(&walks, &said["mam"], model);
    }
    for model in [AttributionModel::FirstTouch, AttributionModel::LastTouch, AttributionModel::Linear] {
        check_model(&walks, &said["channel_attribution"], model);
    }
    check_markov(&walks, &firsts, said);
}
