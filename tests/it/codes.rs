//! Every code that a caller can meet is explained in `docs/errors.md`, and nothing is explained that cannot be met.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where codes are written as text; `base::Code` has the rest.
const SOURCES: [&str; 8] = [
    "src/http",
    "src/graphql",
    "src/ingest",
    "src/platforms",
    "src/worker",
    "src/members/import",
    "src/creators/import",
    "src/cli/import_events.rs",
];
const EVENTS: &str = "src/events";

fn texts(path: &Path, found: &mut Vec<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            texts(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(fs::read_to_string(path).unwrap());
    }
}

fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string("docs/errors.md").unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

#[test]
fn the_documented_codes_are_those_that_exist() {
    let mut sources = Vec::new();
    for path in SOURCES.iter().chain([&EVENTS, &"src/base/error.rs"]) {
        texts(Path::new(path), &mut sources);
    }
    let all = sources.concat();
    let unknown: Vec<String> = documented()
        .into_iter()
        .filter(|code| !all.contains(&format!("\"{code}\"")) && !all.contains(&format!("'{code}'")))
        .collect();
    assert_eq!(unknown, Vec::<String>::new(), "explained, and nowhere in the code");
}

#[test]
fn the_codes_that_exist_are_documented() {
    let mut sources = Vec::new();
    for path in [
        "src/ingest/rules.rs",
        "src/ingest/commit.rs",
        "src/platforms/adapter.rs",
        "src/platforms/meta.rs",
        "src/platforms/youtube.rs",
        "src/platforms/generic.rs",
        "src/ingest/replay.rs",
        "src/worker/sales.rs",
        "src/members/import",
        "src/creators/import",
        "src/cli/import_events.rs",
        "src/http",
        "src/base/error.rs",
    ] {
        texts(Path::new(path), &mut sources);
    }
    let code = regex::Regex::new(r#""([A-Z]{3,}(?:_[A-Z]+)+)""#).unwrap();
    let documented = documented();
    let all = sources.concat();
    let missing: BTreeSet<&str> = code
        .captures_iter(&all)
        .filter_map(|found| Some(found.get(1)?.as_str()))
        .filter(|code| !documented.contains(*code))
        .collect();
    assert_eq!(missing, BTreeSet::new(), "in the code, and not explained");
}
