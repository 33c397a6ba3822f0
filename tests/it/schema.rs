//! The schema's text is what the repository holds, and everything in it is described.

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");

/// `GRAPEVINE_WRITE=1 cargo test schema` writes the file anew.
#[test]
fn the_schema_file_is_what_the_binary_serves() {
    let sdl = grapevine::graphql::sdl();
    if std::env::var_os("GRAPEVINE_WRITE").is_some() {
        std::fs::write(FILE, &sdl).unwrap();
    }
    let held = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        held == sdl,
        "schema.graphql is not what the binary serves: run GRAPEVINE_WRITE=1 cargo test --test it schema"
    );
}

#[test]
fn everything_in_the_schema_is_described() {
    let document = parse_schema(grapevine::graphql::sdl()).unwrap();
    let mut bare = Vec::new();
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let name = definition.node.name.node.to_string();
        note(&mut bare, definition.node.description.as_ref(), &name);
        match definition.node.kind {
            TypeKind::Object(object) => note_fields(&mut bare, &name, &object.fields),
            TypeKind::Interface(interface) => note_fields(&mut bare, &name, &interface.fields),
            TypeKind::InputObject(input) => note_inputs(&mut bare, &name, &input.fields),
            TypeKind::Enum(values) => values.values.iter().for_each(|value| {
                note(&mut bare, value.node.description.as_ref(), &format!("{name}.{}", value.node.value.node));
            }),
            TypeKind::Scalar | TypeKind::Union(_) => {}
        }
    }
    assert!(bare.is_empty(), "without a description: {bare:#?}");
}

fn note_fields(bare: &mut Vec<String>, name: &str, fields: &[Positioned<FieldDefinition>]) {
    for field in fields {
        let place = format!("{name}.{}", field.node.name.node);
        note(bare, field.node.description.as_ref(), &place);
        note_inputs(bare, &place, &field.node.arguments);
    }
}

fn note_inputs(bare: &mut Vec<String>, name: &str, inputs: &[Positioned<InputValueDefinition>]) {
    for input in inputs {
        note(bare, input.node.description.as_ref(), &format!("{name}.{}", input.node.name.node));
    }
}

fn note(bare: &mut Vec<String>, description: Option<&Positioned<String>>, place: &str) {
    if description.is_none_or(|text| text.node.trim().is_empty()) {
        bare.push(place.to_owned());
    }
}
