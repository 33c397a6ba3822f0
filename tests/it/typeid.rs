//! TypeIDs against the specification's own cases (`tests/fixtures/typeid`, whose PROVENANCE.txt says where they are from).

use std::str::FromStr;

use grapevine::base::{Kind, TypeId};
use serde::Deserialize;
use uuid::Uuid;

#[derive(Deserialize)]
struct Valid {
    name: String,
    typeid: String,
    prefix: String,
    uuid: Uuid,
}

#[derive(Deserialize)]
struct Invalid {
    name: String,
    typeid: String,
}

#[test]
fn every_valid_case_is_read_and_written() {
    let cases: Vec<Valid> = serde_json::from_str(include_str!("../fixtures/typeid/valid.json")).unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let read = TypeId::from_str(&case.typeid).unwrap();
        assert_eq!((read.prefix(), read.uuid()), (case.prefix.as_str(), case.uuid), "{}", case.name);
        assert_eq!(TypeId::new(&case.prefix, case.uuid).to_string(), case.typeid, "{}", case.name);
    }
}

#[test]
fn every_invalid_case_is_refused() {
    let cases: Vec<Invalid> = serde_json::from_str(include_str!("../fixtures/typeid/invalid.json")).unwrap();
    assert_eq!(cases.len(), 21);
    for case in cases {
        assert!(TypeId::from_str(&case.typeid).is_err(), "{}: {}", case.name, case.typeid);
    }
}

#[test]
fn an_identifier_of_another_kind_is_not_read() {
    let id = Uuid::from_u128(7);
    assert_eq!(Kind::Member.parse(&Kind::Member.id(id)), Some(id));
    assert_eq!(Kind::Member.parse(&Kind::Creator.id(id)), None);
    assert_eq!(Kind::Member.parse(""), None);
}

proptest::proptest! {
    #[test]
    fn reading_never_panics_and_gives_back_what_was_written(text in "\\PC{0,100}", value: u128) {
        if let Ok(read) = TypeId::from_str(&text) {
            proptest::prop_assert_eq!(read.to_string(), text);
        }
        let written = Kind::Event.id(Uuid::from_u128(value));
        proptest::prop_assert_eq!(Kind::Event.parse(&written), Some(Uuid::from_u128(value)));
    }
}
