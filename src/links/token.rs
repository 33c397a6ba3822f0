//! Link tokens: 16 random bytes and a keyed check of 4, as 32 letters of Crockford's base 32. Pure.

use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::access::Keyring;
use crate::base::{Chance, Kind, random_bytes};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const RANDOM_LENGTH: usize = 16;
/// Letters of a click's identifier.
const CLICK_LENGTH: usize = 32;
const CHECK_LENGTH: usize = 4;
/// Letters of a token.
pub const TOKEN_LENGTH: usize = (RANDOM_LENGTH + CHECK_LENGTH) * 8 / 5;

/// A fresh token.
#[must_use]
pub fn new_token(keyring: &Keyring, chance: &dyn Chance) -> String {
    let random: [u8; RANDOM_LENGTH] = random_bytes(chance);
    encode(&[random.as_slice(), &keyring.token_check(&random)].concat())
}

/// Whether this installation made the token: a guessed or mistyped one is told without a look-up.
#[must_use]
pub fn check_token(keyring: &Keyring, token: &str) -> bool {
    let Some(bytes) = decode(token) else { return false };
    let (random, check) = bytes.split_at(RANDOM_LENGTH);
    keyring.token_check(random).as_slice().ct_eq(check).into()
}

/// The first run of letters in a text that is a token of ours: an install referrer or a clipboard holds it among other things.
#[must_use]
pub fn find_token(keyring: &Keyring, text: &str) -> Option<String> {
    let runs = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    runs.map(str::to_ascii_lowercase).find(|run| check_token(keyring, run))
}

/// The first `gv_click` in a text.
#[must_use]
pub fn find_click(text: &str) -> Option<Uuid> {
    let marks = text.match_indices("event_");
    let mut found = marks.filter_map(|(at, _)| Kind::Event.parse(text.get(at..at + CLICK_LENGTH)?));
    found.next()
}

fn encode(bytes: &[u8]) -> String {
    let groups = bytes.chunks(5).flat_map(|group| {
        let value = group.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        (0..8).rev().map(move |place| char::from(ALPHABET[(value >> (5 * place)) as usize & 31]))
    });
    groups.collect()
}

fn decode(token: &str) -> Option<Vec<u8>> {
    if token.len() != TOKEN_LENGTH {
        return None;
    }
    let mut bytes = Vec::with_capacity(RANDOM_LENGTH + CHECK_LENGTH);
    for group in token.as_bytes().chunks(8) {
        let mut value = 0_u64;
        for letter in group {
            value = (value << 5) | ALPHABET.iter().position(|known| known == letter)? as u64;
        }
        bytes.extend_from_slice(&value.to_be_bytes()[3..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SeededChance;

    #[test]
    fn a_token_carries_its_check() {
        let keyring = Keyring::new([7; 32]);
        let token = new_token(&keyring, &SeededChance::from_seed(1));
        assert_eq!(token.len(), TOKEN_LENGTH);
        assert!(check_token(&keyring, &token));
        assert!(!check_token(&Keyring::new([8; 32]), &token));
        for index in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[index] = if forged[index] == b'0' { b'1' } else { b'0' };
            assert!(!check_token(&keyring, std::str::from_utf8(&forged).unwrap()), "{index}");
        }
        for wrong in ["", "x", &token[1..], &format!("{token}0"), &token.to_uppercase(), &"é".repeat(16)] {
            assert!(!check_token(&keyring, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_found_among_other_things() {
        let keyring = Keyring::new([7; 32]);
        let token = new_token(&keyring, &SeededChance::from_seed(2));
        assert_eq!(find_token(&keyring, &format!("utm_source=x&gv_token={token}&y=1")), Some(token.clone()));
        assert_eq!(find_token(&keyring, &format!("https://x.example/r/{token}?a=b")), Some(token));
        assert_eq!(find_token(&keyring, "nothing here"), None);
        let click = Kind::Event.id(Uuid::from_u128(7));
        assert_eq!(
            find_click(&format!("https://x.example/invite/t?event_=1&gv_click={click}&a")),
            Some(Uuid::from_u128(7))
        );
        assert_eq!(find_click("gv_click=event_é"), None);
    }
}
