//! The rules of the house, each a pure function over one file. `docs` of each rule stand in STYLE.md.

use super::text::{Layers, is_word, item_end, layers, line_of, without_tests, words};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// One breach of a rule.
#[derive(Debug, PartialEq)]
pub struct Breach {
    pub rule: &'static str,
    pub path: String,
    pub line: usize,
    pub what: String,
}

/// The modules of `src/lib.rs` in their order.
pub fn modules(lib: &str) -> Vec<String> {
    let code = layers(lib).code;
    let lines = code.lines().map(str::trim);
    let names = lines.filter_map(|line| line.strip_prefix("pub mod ").or(line.strip_prefix("mod "))?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// Every rule over one file. `modules` is the order of `src/lib.rs`.
pub fn check(modules: &[String], path: &str, text: &str) -> Vec<Breach> {
    let layers = layers(text);
    let code = without_tests(&layers.code);
    let found = [order(modules, path, &code), fences(path, &code), sizes(text, &layers), heads(text), bans(&layers)];
    let breach = |(rule, line, what)| Breach { rule, path: path.to_owned(), line, what };
    found.into_iter().flatten().map(breach).collect()
}

type Found = Vec<(&'static str, usize, String)>;

/// A module imports only from modules above it.
fn order(modules: &[String], path: &str, code: &str) -> Found {
    let Some(inside) = path.strip_prefix("src/") else { return Vec::new() };
    let own = inside.split(['/', '.']).next().unwrap_or("");
    if matches!(own, "lib" | "main" | "bin") {
        return Vec::new();
    }
    let place = |name: &str| modules.iter().position(|module| module == name);
    let Some(own_place) = place(own) else {
        return vec![("order", 1, format!("{own} is not a module of src/lib.rs"))];
    };
    let is_later = |name: &str| place(name).is_some_and(|other| other > own_place);
    let found = root_paths(inside, code).into_iter().filter(|(_, name)| is_later(name));
    found.map(|(at, name)| ("order", line_of(code, at), format!("{own} stands above {name}"))).collect()
}

/// The first names behind `crate::`, or behind as many `super::` as lead to the crate's root, with their places.
fn root_paths(inside: &str, code: &str) -> Vec<(usize, String)> {
    let depth = inside.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count();
    let supers = "super::".repeat(depth);
    let starts = words(code, "crate").map(|at| (at, "crate::".len()));
    let starts = starts.chain(words(code, "super").map(|at| (at, supers.len())));
    let mut found = Vec::new();
    for (at, length) in starts {
        let rest = &code[at..];
        let is_inner_super = code[..at].ends_with("super::");
        if is_inner_super || !(rest.starts_with("crate::") || rest.starts_with(&supers)) {
            continue;
        }
        found.extend(first_names(rest[length..].trim_start()).into_iter().map(|name| (at, name)));
    }
    found
}

/// `a` of `a::b`, and `a` and `b` of `{a::x, b}`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| is_word(*c)).collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (offset, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[start..offset]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..offset]));
                start = offset + 1;
            }
            _ => {}
        }
    }
    names
}

/// Each outer library has its room, and stays there.
fn fences(path: &str, code: &str) -> Found {
    let name = path.rsplit('/').next().unwrap_or("");
    let is_store = matches!(name, "store.rs" | "reads.rs") || path.contains("/store/") || path.contains("/reads/");
    let within = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    let rooms: [(&str, bool, &str); 6] = [
        ("diesel", within(&["src/db/"]) || is_store, "src/db, store.rs and reads.rs"),
        ("diesel_async", within(&["src/db/"]) || is_store, "src/db, store.rs and reads.rs"),
        ("redis", within(&["src/kv/"]), "src/kv"),
        ("async_graphql", within(&["src/graphql/", "src/http/"]), "src/graphql and src/http"),
        ("async_graphql_axum", within(&["src/graphql/", "src/http/"]), "src/graphql and src/http"),
        ("axum", within(&["src/http/"]), "src/http"),
    ];
    let mut found = Vec::new();
    for (library, is_at_home, home) in rooms {
        if is_at_home || !path.starts_with("src/") {
            continue;
        }
        let uses = words(code, library).filter(|at| code[at + library.len()..].starts_with("::"));
        found.extend(uses.map(|at| ("fences", line_of(code, at), format!("{library} belongs in {home}"))));
    }
    found
}

/// Files and functions that fit a reader's head. Generated files say so in their first line.
fn sizes(text: &str, layers: &Layers) -> Found {
    let mut found = Vec::new();
    let line_count = text.lines().count();
    let is_generated = text.lines().next().is_some_and(|line| line.contains("do not edit"));
    if line_count > FILE_LINES_MAX && !is_generated {
        found.push(("sizes", 1, format!("{line_count} lines, {FILE_LINES_MAX} at most")));
    }
    let code = &layers.code;
    for at in words(code, "fn").filter(|at| code[at + 3..].starts_with(|c: char| is_word(c))) {
        let line = line_of(code, at);
        let lines = line_of(code, item_end(code, at)) + 1 - line;
        if lines > FUNCTION_LINES_MAX {
            let name: String = code[at + 3..].chars().take_while(|c| is_word(*c)).collect();
            found.push(("sizes", line, format!("{name} has {lines} lines, {FUNCTION_LINES_MAX} at most")));
        }
    }
    found
}

/// Every file says first what it is for.
fn heads(text: &str) -> Found {
    let is_headed = text.lines().next().is_some_and(|line| line.starts_with("//! "));
    if is_headed { Vec::new() } else { vec![("heads", 1, "the file does not open with //!".to_owned())] }
}

/// What is never committed.
fn bans(layers: &Layers) -> Found {
    let in_code = ["todo!", "dbg!", "unimplemented!", "#[ignore", "#[allow(", "#![allow("];
    let in_comments = [concat!("FIX", "ME"), concat!("XX", "X:")];
    let code =
        in_code.iter().flat_map(|word| layers.code.match_indices(word).map(|(at, word)| (&layers.code, at, word)));
    let comments = in_comments
        .iter()
        .flat_map(|word| layers.comments.match_indices(word).map(|(at, word)| (&layers.comments, at, word)));
    code.chain(comments).map(|(text, at, word)| ("bans", line_of(text, at), format!("{word} is banned"))).collect()
}
