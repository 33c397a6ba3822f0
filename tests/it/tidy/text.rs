//! Reads Rust text just far enough for the rules: what is code, what is comment, and where an item ends. It never parses.

/// A file's text in two layers of the same length and lines: what is not of the layer is blank.
pub struct Layers {
    /// Without comments and without the contents of strings and characters.
    pub code: String,
    pub comments: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
}

/// Splits a file into its layers.
pub fn layers(text: &str) -> Layers {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let (mut place, mut index) = (Place::Code, 0);
    while index < chars.len() {
        let (next, length) = step(place, &chars, index);
        for character in &chars[index..index + length] {
            let is_code = place == Place::Code && next == Place::Code && length == 1;
            let is_comment = matches!(place, Place::LineComment | Place::BlockComment(_));
            let blank = if *character == '\n' { '\n' } else { ' ' };
            code.push(if is_code { *character } else { blank });
            comments.push(if is_comment { *character } else { blank });
        }
        (place, index) = (next, index + length);
    }
    Layers { code, comments }
}

/// What the place is after the characters at `index`, and how many of them that is.
fn step(place: Place, chars: &[char], index: usize) -> (Place, usize) {
    let at = |offset: usize| chars.get(index + offset).copied().unwrap_or('\0');
    match (place, at(0), at(1)) {
        (Place::Code, '/', '/') => (Place::LineComment, 2),
        (Place::Code, '/', '*') => (Place::BlockComment(1), 2),
        (Place::Code, '"', _) => (Place::Text, 1),
        (Place::Code, 'r', '"' | '#') if !is_word(before(chars, index)) || before(chars, index) == 'b' => {
            let hashes = (1..).take_while(|offset| at(*offset) == '#').count();
            if at(1 + hashes) == '"' { (Place::RawText(hashes), 2 + hashes) } else { (Place::Code, 1) }
        }
        // A character, not a lifetime: a second quote follows.
        (Place::Code, '\'', '\\') => {
            let end = (3..).find(|offset| matches!(at(*offset), '\'' | '\0')).unwrap_or(3);
            (Place::Code, (end + 1).min(chars.len() - index))
        }
        (Place::Code, '\'', _) if at(2) == '\'' => (Place::Code, 3),
        (Place::LineComment, '\n', _) => (Place::Code, 1),
        (Place::BlockComment(depth), '/', '*') => (Place::BlockComment(depth + 1), 2),
        (Place::BlockComment(1), '*', '/') => (Place::Code, 2),
        (Place::BlockComment(depth), '*', '/') => (Place::BlockComment(depth - 1), 2),
        (Place::Text, '\\', _) => (Place::Text, 2.min(chars.len() - index)),
        (Place::Text, '"', _) => (Place::Code, 1),
        (Place::RawText(hashes), '"', _) if (1..=hashes).all(|offset| at(offset) == '#') => (Place::Code, 1 + hashes),
        _ => (place, 1),
    }
}

fn before(chars: &[char], index: usize) -> char {
    index.checked_sub(1).map_or(' ', |index| chars[index])
}

/// Whether a character can stand in a name.
pub fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The code without its `#[cfg(test)]` items.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut text = code.to_owned();
    while let Some(start) = text.find(MARK) {
        let end = item_end(&text, start + MARK.len());
        let blank: String = text[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        text.replace_range(start..end, &blank);
    }
    text
}

/// Where the item that begins at or after `start` ends: behind its body's closing brace, or behind its semicolon.
pub fn item_end(code: &str, start: usize) -> usize {
    let (mut braces, mut others) = (0, 0);
    for (offset, character) in code[start..].char_indices() {
        match character {
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces <= 0 {
                    return start + offset + 1;
                }
            }
            '(' | '[' => others += 1,
            ')' | ']' => others -= 1,
            ';' if braces == 0 && others == 0 => return start + offset + 1,
            _ => {}
        }
    }
    code.len()
}

/// The number of the line that holds this byte, from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Every place where `word` stands as a whole word.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(offset, _)| offset).filter(move |offset| {
        let follows = code[offset + word.len()..].chars().next().is_some_and(is_word);
        !follows && !code[..*offset].chars().next_back().is_some_and(is_word)
    })
}
