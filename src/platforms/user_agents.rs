//! What a user agent is taken for.

use crate::events::AgentClass;

/// The class of a user agent.
#[must_use]
pub fn classify(user_agent: &str) -> AgentClass {
    if user_agent.is_empty() {
        AgentClass::Unknown
    } else if user_agent.to_lowercase().contains("bot") {
        AgentClass::Bot
    } else {
        AgentClass::Browser
    }
}
