//! A count of a document's tokens and brackets on its bytes, so that a hostile one is refused before the parser sees it.
//! It never judges whether the text is GraphQL: that is the parser's.

use super::limits::over;
use super::run::Problem;
use crate::base::limits::{GRAPHQL_BRACKETS_MAX, GRAPHQL_DOCUMENT_BYTES_MAX, GRAPHQL_TOKENS_MAX};

/// Refuses a text that is too long, has too many tokens, or nests its brackets too deeply.
pub(super) fn scan(query: &str) -> Result<(), Problem> {
    if query.len() > GRAPHQL_DOCUMENT_BYTES_MAX {
        return Err(over("DOCUMENT_TOO_LARGE", "bytes", GRAPHQL_DOCUMENT_BYTES_MAX));
    }
    let mut rest = query.as_bytes();
    let (mut tokens, mut open) = (0_usize, 0_usize);
    while let Some(first) = rest.first() {
        let length = token_length(rest);
        match first {
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b'#' => {}
            _ => tokens += 1,
        }
        match first {
            b'{' | b'(' | b'[' => open += 1,
            b'}' | b')' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        if tokens > GRAPHQL_TOKENS_MAX {
            return Err(over("TOO_MANY_TOKENS", "tokens", GRAPHQL_TOKENS_MAX));
        }
        if open > GRAPHQL_BRACKETS_MAX {
            return Err(over("QUERY_TOO_DEEP", "brackets inside each other", GRAPHQL_BRACKETS_MAX));
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// How many bytes the token (or comment, or run of blanks) at the start takes; at least one.
fn token_length(text: &[u8]) -> usize {
    let run = |is_part: fn(&u8) -> bool| text.iter().take_while(|byte| is_part(byte)).count().max(1);
    match text {
        [b'"', b'"', b'"', ..] => block_string_length(text),
        [b'"', ..] => string_length(text),
        [b'.', b'.', b'.', ..] => 3,
        [b'#', ..] => run(|byte| !matches!(byte, b'\r' | b'\n')),
        [b' ' | b'\t' | b'\r' | b'\n' | b',', ..] => run(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',')),
        [first, ..] if is_word(first) => run(is_word),
        _ => 1,
    }
}

/// Letters and digits of names and numbers; everything beyond ASCII counts as one word.
fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80
}

fn string_length(text: &[u8]) -> usize {
    let mut index = 1;
    while let Some(byte) = text.get(index) {
        match byte {
            b'\\' => index += 1,
            b'"' => return index + 1,
            b'\n' | b'\r' => return index,
            _ => {}
        }
        index += 1;
    }
    text.len()
}

fn block_string_length(text: &[u8]) -> usize {
    let mut index = 3;
    while let Some(rest) = text.get(index..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(b"\\\"\"\"") {
            index += 4;
        } else if rest.starts_with(b"\"\"\"") {
            return index + 3;
        } else {
            index += 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_strings_and_comments_do_not_count() {
        let brackets = "{".repeat(GRAPHQL_BRACKETS_MAX + 1);
        for text in
            [format!("\"{brackets}\""), format!("\"\"\"{brackets}\\\"\"\" {brackets}\"\"\""), format!("#{brackets}")]
        {
            assert!(scan(&text).is_ok(), "{text}");
        }
        for text in [format!("\"\"{brackets}"), format!("#\n{brackets}"), format!("\"\\\"\"{brackets}")] {
            assert!(scan(&text).is_err(), "{text}");
        }
    }
}
