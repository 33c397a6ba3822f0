//! The signals. Pure: facts and a policy give a verdict with every signal that spoke, what was observed and the threshold.
//! Scores and weights are millionths; the score is the sum of the weights that count, at most one.

use crate::campaigns::{FraudPolicy, SignalMode};
use crate::creators::Platform;
use crate::events::AgentClass;
use crate::journeys::Decision;
use crate::referrals::EdgeRefusal;
use crate::text_enum;

use super::StoredSignal;

const PPM: i64 = 1_000_000;
/// The policy's thresholds are for touches. A sign-up needs more to be held: 0.3 and 0.5 become 0.6 and 0.85.
const SIGNUP_REVIEW_PERCENT: i64 = 200;
const SIGNUP_BLOCK_PERCENT: i64 = 170;

text_enum! {
    /// The signals that exist.
    SignalName {
        /// The user agent is a program's.
        BotUserAgent = "BOT_USER_AGENT",
        /// Too many touches from one address on one owner's links within an hour.
        Velocity = "VELOCITY",
        /// The creator has no verified account on the platform that the touch came from.
        UnverifiedPlatform = "UNVERIFIED_PLATFORM",
        /// The referrer and the referee are the same person.
        SelfReferral = "SELF_REFERRAL",
        /// The referrer stands below the referee.
        Ring = "RING",
        /// Too many sign-ups by one referrer within the window.
        ReferralVelocity = "REFERRAL_VELOCITY",
        /// Too many people from one address within the window.
        SharedAddress = "SHARED_ADDRESS",
        /// The referee signed up on a device, or in a browser, that the referrer used.
        SharedDevice = "SHARED_DEVICE",
    }
}

impl SignalName {
    /// The weight where the policy says nothing.
    #[must_use]
    pub fn default_weight_ppm(self) -> i32 {
        match self {
            Self::SelfReferral | Self::Ring => 1_000_000,
            Self::BotUserAgent | Self::ReferralVelocity | Self::SharedDevice => 600_000,
            Self::Velocity => 500_000,
            Self::SharedAddress => 400_000,
            Self::UnverifiedPlatform => 100_000,
        }
    }
}

/// A signal that spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    pub name: SignalName,
    pub weight_ppm: i32,
    pub observed: String,
    pub threshold: Option<String>,
    pub is_shadow: bool,
}

impl Signal {
    pub(super) fn stored(&self) -> StoredSignal {
        StoredSignal {
            name: self.name.as_str().to_owned(),
            weight_ppm: self.weight_ppm,
            observed: self.observed.clone(),
            threshold: self.threshold.clone(),
            is_shadow: self.is_shadow,
        }
    }
}

/// What a judgement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub decision: Decision,
    pub score_ppm: i32,
    pub signals: Vec<Signal>,
}

impl Verdict {
    pub(super) fn top_signal(&self) -> &'static str {
        let counted = self.signals.iter().filter(|signal| !signal.is_shadow);
        counted.max_by_key(|signal| signal.weight_ppm).map_or("NONE", |signal| signal.name.as_str())
    }
}

/// What is known of a touch.
#[derive(Clone, Copy, Debug)]
pub struct TouchFacts {
    pub agent_class: AgentClass,
    /// Touches of the same address on the same owner's links in the hour up to this one, this one included; 0 without an address.
    pub recent_touch_count: i64,
    pub platform: Platform,
    /// `None`: no creator owns what was touched.
    pub is_platform_verified: Option<bool>,
}

/// What is known of a sign-up.
#[derive(Clone, Copy, Debug)]
pub struct SignupFacts {
    pub refused: Option<EdgeRefusal>,
    pub agent_class: AgentClass,
    /// Sign-ups of the same referrer in the window, this one included.
    pub referrer_signup_count: i64,
    /// People who signed up from the same address in the window, this one included.
    pub address_people_count: i64,
    pub shares_device: bool,
}

struct Bench<'a> {
    policy: &'a FraudPolicy,
    signals: Vec<Signal>,
}

impl Bench<'_> {
    fn speak(&mut self, name: SignalName, observed: String, threshold: Option<String>) {
        let own = self.policy.signals.iter().find(|own| own.name == name.as_str());
        let mode = own.map_or(SignalMode::On, |own| own.mode);
        if mode == SignalMode::Off {
            return;
        }
        let weight_ppm = own.map_or(name.default_weight_ppm(), |own| own.weight_ppm);
        self.signals.push(Signal { name, weight_ppm, observed, threshold, is_shadow: mode == SignalMode::Shadow });
    }

    fn above(&mut self, name: SignalName, observed: i64, limit: i32, unit: &str) {
        if observed > i64::from(limit) {
            self.speak(name, format!("{observed} {unit}"), Some(format!("{limit} {unit}")));
        }
    }

    fn verdict(self, review_ppm: i64, block_ppm: i64) -> Verdict {
        let counted = self.signals.iter().filter(|signal| !signal.is_shadow);
        let score = counted.map(|signal| i64::from(signal.weight_ppm)).sum::<i64>().clamp(0, PPM);
        let decision = match score {
            0 => Decision::Allow,
            score if score >= block_ppm => Decision::Block,
            score if score >= review_ppm => Decision::Review,
            _ => Decision::Allow,
        };
        Verdict { decision, score_ppm: i32::try_from(score).unwrap_or(i32::MAX), signals: self.signals }
    }
}

/// Judges a touch.
#[must_use]
pub fn judge_touch(policy: &FraudPolicy, facts: &TouchFacts) -> Verdict {
    let mut bench = Bench { policy, signals: Vec::new() };
    if facts.agent_class == AgentClass::Bot {
        bench.speak(SignalName::BotUserAgent, "a program's user agent".to_owned(), None);
    }
    bench.above(SignalName::Velocity, facts.recent_touch_count, policy.velocity_per_hour, "touches per hour");
    let is_social = matches!(facts.platform, Platform::Instagram | Platform::Tiktok | Platform::Youtube);
    if is_social && facts.is_platform_verified == Some(false) {
        let observed = format!("no verified {} account", facts.platform.as_str());
        bench.speak(SignalName::UnverifiedPlatform, observed, None);
    }
    bench.verdict(i64::from(policy.review_score_ppm), i64::from(policy.block_score_ppm))
}

/// Judges a sign-up.
#[must_use]
pub fn judge_signup(policy: &FraudPolicy, facts: &SignupFacts) -> Verdict {
    let mut bench = Bench { policy, signals: Vec::new() };
    match facts.refused {
        Some(EdgeRefusal::SelfReferral) => {
            bench.speak(SignalName::SelfReferral, "referrer and referee are one person".to_owned(), None)
        }
        Some(EdgeRefusal::Cycle) => {
            bench.speak(SignalName::Ring, "the referrer stands below the referee".to_owned(), None)
        }
        None => {}
    }
    if facts.agent_class == AgentClass::Bot {
        bench.speak(SignalName::BotUserAgent, "a program's user agent".to_owned(), None);
    }
    let window = format!("sign-ups in {} hours", policy.window_hours);
    bench.above(SignalName::ReferralVelocity, facts.referrer_signup_count, policy.referrals_per_window, &window);
    let window = format!("people on one address in {} hours", policy.window_hours);
    bench.above(SignalName::SharedAddress, facts.address_people_count, policy.ip_correlation_limit, &window);
    if facts.shares_device {
        bench.speak(SignalName::SharedDevice, "a device that the referrer used".to_owned(), None);
    }
    let scaled = |ppm: i32, percent: i64| (i64::from(ppm) * percent / 100).min(PPM);
    bench.verdict(
        scaled(policy.review_score_ppm, SIGNUP_REVIEW_PERCENT),
        scaled(policy.block_score_ppm, SIGNUP_BLOCK_PERCENT),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaigns::SignalPolicy;

    fn touch(agent_class: AgentClass, recent_touch_count: i64) -> TouchFacts {
        TouchFacts { agent_class, recent_touch_count, platform: Platform::Web, is_platform_verified: Some(false) }
    }

    fn signup() -> SignupFacts {
        SignupFacts {
            refused: None,
            agent_class: AgentClass::Browser,
            referrer_signup_count: 1,
            address_people_count: 1,
            shares_device: false,
        }
    }

    #[test]
    fn a_bot_and_a_burst_are_each_blocked_alone() {
        let policy = FraudPolicy::default();
        assert_eq!(judge_touch(&policy, &touch(AgentClass::Browser, 20)).decision, Decision::Allow);
        assert_eq!(judge_touch(&policy, &touch(AgentClass::Browser, 21)).decision, Decision::Block);
        assert_eq!(judge_touch(&policy, &touch(AgentClass::Bot, 1)).decision, Decision::Block);
        assert_eq!(judge_touch(&policy, &touch(AgentClass::Preview, 1)).signals, Vec::new());
    }

    #[test]
    fn an_unverified_account_alone_is_no_reason_to_stop_anybody() {
        let facts = TouchFacts { platform: Platform::Instagram, ..touch(AgentClass::Browser, 1) };
        let verdict = judge_touch(&FraudPolicy::default(), &facts);
        assert_eq!((verdict.decision, verdict.score_ppm, verdict.signals.len()), (Decision::Allow, 100_000, 1));
    }

    #[test]
    fn a_self_referral_is_blocked_and_a_crowd_is_reviewed() {
        let policy = FraudPolicy::default();
        let own = SignupFacts { refused: Some(EdgeRefusal::SelfReferral), ..signup() };
        assert_eq!(judge_signup(&policy, &own).decision, Decision::Block);
        let crowd = SignupFacts { referrer_signup_count: 11, ..signup() };
        assert_eq!(judge_signup(&policy, &crowd).decision, Decision::Review);
        let farm = SignupFacts { shares_device: true, ..crowd };
        assert_eq!(judge_signup(&policy, &farm).decision, Decision::Block);
        assert_eq!(judge_signup(&policy, &signup()).decision, Decision::Allow);
    }

    #[test]
    fn a_shadow_signal_is_recorded_and_does_not_count() {
        let own =
            |mode| SignalPolicy { name: "BOT_USER_AGENT".to_owned(), weight_ppm: 900_000, mode, threshold_ppm: None };
        let policy = FraudPolicy { signals: vec![own(SignalMode::Shadow)], ..FraudPolicy::default() };
        let verdict = judge_touch(&policy, &touch(AgentClass::Bot, 1));
        assert_eq!((verdict.decision, verdict.score_ppm, verdict.signals.len()), (Decision::Allow, 0, 1));
        let policy = FraudPolicy { signals: vec![own(SignalMode::Off)], ..FraudPolicy::default() };
        assert_eq!(judge_touch(&policy, &touch(AgentClass::Bot, 1)).signals, Vec::new());
    }
}
