//! The layers, each read into texts by key. It knows names and types, and nothing about what a value means.

use std::collections::BTreeMap;
use std::path::Path;

use super::key::{PREFIX, is_reserved};
use super::{ConfigError, Key};

/// A value as it was found, and what to call it in an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) name: String,
}

/// What one layer says.
pub(super) type Layer = BTreeMap<Key, Found>;

/// The flags that were given.
pub(super) fn of_flags(flags: Vec<(Key, String)>) -> Layer {
    flags.into_iter().map(|(key, text)| (key, Found { text, name: key.flag() })).collect()
}

/// Everything of the environment that is ours. An empty variable counts as unset. Our own name of a key wins over the common one.
pub(super) fn of_environment(variables: impl IntoIterator<Item = (String, String)>) -> Result<Layer, ConfigError> {
    let mut layer = Layer::new();
    for (name, text) in variables {
        if text.is_empty() || is_reserved(&name) {
            continue;
        }
        if let Some(key) = Key::ALL.into_iter().find(|key| key.common_variable() == Some(name.as_str())) {
            layer.entry(key).or_insert(Found { text, name });
        } else if name.starts_with(PREFIX) {
            let key = Key::ALL.into_iter().find(|key| key.variable() == name);
            let key = key.ok_or_else(|| unknown(name.clone(), |key| key.variable()))?;
            layer.insert(key, Found { text, name });
        }
    }
    Ok(layer)
}

/// What the file says.
pub(super) fn of_file(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
        path: path.to_owned(),
        message: error.message().to_owned(),
    })?;
    table.into_iter().map(|(name, value)| of_entry(path, name, value)).collect()
}

fn of_entry(path: &Path, name: String, value: toml::Value) -> Result<(Key, Found), ConfigError> {
    let shown = format!("`{name}` in {}", path.display());
    let key = Key::parse(&name).ok_or_else(|| unknown(shown.clone(), |key| key.as_str().to_owned()))?;
    let text = match (key, value) {
        (key, toml::Value::Integer(count)) if key.is_number() => count.to_string(),
        (key, toml::Value::String(text)) if !key.is_number() => text,
        (_, value) => return Err(wrong_type(shown, key, &value)),
    };
    Ok((key, Found { text, name: shown }))
}

fn wrong_type(name: String, key: Key, value: &toml::Value) -> ConfigError {
    let found = format!(", not of type {}", value.type_str());
    ConfigError::Value { name, expected: key.expected(), found }
}

fn unknown(name: String, spell: impl Fn(Key) -> String) -> ConfigError {
    let known: Vec<String> = Key::ALL.into_iter().map(spell).collect();
    ConfigError::Unknown { name, known: known.join(", ") }
}
