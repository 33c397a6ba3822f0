//! What a user agent is taken for, by kept lists of patterns. It never reads anything but the text that it is given.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::creators::Platform;
use crate::events::AgentClass;

/// What follows is not read: no honest user agent is longer.
const LENGTH_MAX: usize = 1_024;

/// Names of ordinary phones and apps that a pattern of `bots.txt` would take for a bot.
const EXCUSED: &str = r"newssapphire| channel/google|google(?:wv|app|/google| pixel)| cubot|camscan|libhttp|java;";

static PREVIEWS: LazyLock<Regex> = LazyLock::new(|| any_of(include_str!("previews.txt")));
static BOTS: LazyLock<Regex> = LazyLock::new(|| any_of(include_str!("bots.txt")));
static EXCUSES: LazyLock<Regex> = LazyLock::new(|| any_of(EXCUSED));

/// The class of a user agent: what shows a shared link's preview, another bot, or a person's browser or app.
#[must_use]
pub fn classify(user_agent: &str) -> AgentClass {
    let text = user_agent.trim().as_bytes();
    let text = &text[..text.len().min(LENGTH_MAX)];
    if text.is_empty() {
        AgentClass::Unknown
    } else if PREVIEWS.is_match(text) {
        AgentClass::Preview
    } else if BOTS.is_match(&EXCUSES.replace_all(text, b"~".as_slice())) {
        AgentClass::Bot
    } else {
        AgentClass::Browser
    }
}

/// The kind of device that a user agent names: IOS (iPhone, iPod, iPad), ANDROID, or WEB for everything else. An iPad that asks for pages
/// as a desktop does says that it is a Mac, and counts as one.
#[must_use]
pub fn device(user_agent: &str) -> Platform {
    let has = |name: &str| user_agent.contains(name);
    // Some phones with Windows once named all others too.
    if has("Windows Phone") {
        Platform::Web
    } else if ["iPhone", "iPad", "iPod"].into_iter().any(has) {
        Platform::Ios
    } else if has("Android") {
        Platform::Android
    } else {
        Platform::Web
    }
}

/// One expression that matches what any line of a list matches.
#[expect(clippy::expect_used, reason = "the lists are part of the program, and a test compiles them")]
fn any_of(list: &str) -> Regex {
    let lines: Vec<String> =
        list.lines().filter(|line| !line.starts_with('#')).map(|line| format!("(?:{line})")).collect();
    RegexBuilder::new(&lines.join("|")).case_insensitive(true).unicode(false).build().expect("a list of valid patterns")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(user_agent: &str, expected: AgentClass) {
        assert_eq!(classify(user_agent), expected, "{user_agent}");
    }

    #[test]
    fn fetchers_of_previews_are_told_from_other_bots() {
        check("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", AgentClass::Preview);
        check("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", AgentClass::Preview);
        check("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", AgentClass::Preview);
        check("TelegramBot (like TwitterBot)", AgentClass::Preview);
        check("WhatsApp/2.23.20.0 A", AgentClass::Preview);
        check(
            "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
            AgentClass::Preview,
        );
        check("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", AgentClass::Bot);
        check("curl/8.5.0", AgentClass::Bot);
        check("python-requests/2.31.0", AgentClass::Bot);
    }

    #[test]
    fn people_are_not_taken_for_bots() {
        let chrome = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36";
        check(&format!("Mozilla/5.0 (Linux; Android 14; Google Pixel 8) {chrome}"), AgentClass::Browser);
        check(&format!("Mozilla/5.0 (Linux; Android 10; CUBOT X30) {chrome}"), AgentClass::Browser);
        let webkit = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
        check(
            &format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {webkit} Mobile/15E148 Instagram 334.0.4.32.98"
            ),
            AgentClass::Browser,
        );
    }

    #[test]
    fn devices_are_told_apart() {
        for (user_agent, expected) in [
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15", Platform::Ios),
            ("Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X)", Platform::Ios),
            ("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/139.0.0.0 Mobile Safari/537.36", Platform::Android),
            ("Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; like iPhone OS 7_0_3 Mac OS X)", Platform::Web),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15", Platform::Web),
            ("", Platform::Web),
        ] {
            assert_eq!(device(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn nothing_tells_nothing() {
        check("", AgentClass::Unknown);
        check("  ", AgentClass::Unknown);
        check(&"é".repeat(5_000), AgentClass::Bot);
    }
}
