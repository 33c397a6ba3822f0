//! What platforms ask an address before they post to it: Meta whether it knows a word that was agreed
//! (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests>), a WebSub hub whether it asked for a
//! topic (<https://www.w3.org/TR/websub/#hub-verifies-intent>). Who agrees sends the challenge back.

use subtle::ConstantTimeEq;
use url::form_urlencoded;

/// A challenge is reflected, so it is a short plain word.
const CHALLENGE_BYTES_MAX: usize = 512;

/// A handshake as it stands in the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    pub mode: String,
    pub challenge: String,
    pub verify_token: Option<String>,
    pub topic: Option<String>,
    /// How long the hub is going to post, where it says so.
    pub lease_seconds: Option<u32>,
}

impl Handshake {
    /// Reads a query. `None`: it is no handshake.
    #[must_use]
    pub fn read(query: &str) -> Option<Self> {
        let mut hello = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "hub.mode" => hello.mode = value.into_owned(),
                "hub.challenge" => hello.challenge = value.into_owned(),
                "hub.verify_token" => hello.verify_token = Some(value.into_owned()),
                "hub.topic" => hello.topic = Some(value.into_owned()),
                "hub.lease_seconds" => hello.lease_seconds = value.parse().ok(),
                _ => {}
            }
        }
        let is_plain = hello.challenge.bytes().all(|byte| byte.is_ascii_graphic());
        let is_short = (1..=CHALLENGE_BYTES_MAX).contains(&hello.challenge.len());
        (!hello.mode.is_empty() && is_plain && is_short).then_some(hello)
    }

    /// Whether Meta asks with the word that was agreed.
    #[must_use]
    pub fn is_subscription_with(&self, token: &str) -> bool {
        let offered = self.verify_token.as_deref().unwrap_or_default();
        self.mode == "subscribe" && bool::from(offered.as_bytes().ct_eq(token.as_bytes()))
    }

    /// The channel that a hub asks about, where it asks whether we want to hear of it.
    #[must_use]
    pub fn wanted_channel(&self) -> Option<&str> {
        let (_, channel_id) = self.topic.as_deref()?.split_once("/feeds/videos.xml?channel_id=")?;
        let is_ours = [super::youtube::topic_of(channel_id), super::youtube::old_topic_of(channel_id)];
        (self.mode == "subscribe" && is_ours.iter().any(|topic| Some(topic) == self.topic.as_ref()))
            .then_some(channel_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_handshake_with_a_plain_challenge_is_one() {
        for query in [
            "",
            "hub.mode=subscribe",
            "hub.challenge=1",
            "hub.mode=subscribe&hub.challenge=",
            "hub.mode=subscribe&hub.challenge=%3Cscript%3E%20",
            &format!("hub.mode=subscribe&hub.challenge={}", "1".repeat(513)),
        ] {
            assert_eq!(Handshake::read(query), None, "{query}");
        }
        let hello = Handshake::read("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=w%20rd").unwrap();
        assert_eq!(hello.challenge, "1158201444");
        assert!(hello.is_subscription_with("w rd"));
        for other in ["", "w", "w rd ", "word"] {
            assert!(!hello.is_subscription_with(other), "{other}");
        }
    }

    #[test]
    fn a_hub_is_heard_about_channels_it_spells_as_youtube_does() {
        let channel = |mode: &str, topic: &str| {
            let pairs =
                [("hub.mode", mode), ("hub.challenge", "x"), ("hub.topic", topic), ("hub.lease_seconds", "432000")];
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let hello = Handshake::read(&query).unwrap();
            assert_eq!(hello.lease_seconds, Some(432_000));
            hello.wanted_channel().map(str::to_owned)
        };
        let topic = super::super::youtube::topic_of("UC1");
        assert_eq!(channel("subscribe", &topic).as_deref(), Some("UC1"));
        assert_eq!(
            channel("subscribe", "https://www.youtube.com/feeds/videos.xml?channel_id=UC1").as_deref(),
            Some("UC1")
        );
        assert_eq!(channel("unsubscribe", &topic), None);
        assert_eq!(channel("subscribe", "https://evil.example/feeds/videos.xml?channel_id=UC1"), None);
        assert_eq!(channel("subscribe", ""), None);
    }
}
