//! The classes of user agents against labelled ones (`tests/fixtures/user-agents`, whose PROVENANCE.txt says where they are from).

use grapevine::events::AgentClass;
use grapevine::platforms::user_agents::classify;

#[test]
fn bots_are_found_and_people_are_left_alone() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/user-agents/labelled_dev.csv");
    let (mut bots, mut found, mut people, mut accused) = (0, 0, 0, Vec::new());
    for row in csv::Reader::from_path(path).unwrap().records() {
        let row = row.unwrap();
        let is_taken_for_bot = matches!(classify(&row[0]), AgentClass::Bot | AgentClass::Preview);
        match &row[1] {
            "bot" => {
                bots += 1;
                found += usize::from(is_taken_for_bot);
            }
            label => {
                assert_eq!(label, "human");
                people += 1;
                accused.extend(is_taken_for_bot.then(|| row[0].to_owned()));
            }
        }
    }
    assert!(bots > 100 && people > 100, "{bots} bots, {people} people");
    assert!(found * 100 >= bots * 95, "found {found} of {bots} bots");
    assert!(accused.len() * 100 <= people * 2, "accused {} of {people} people: {accused:#?}", accused.len());
}
