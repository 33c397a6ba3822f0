//! Addresses: the identifier standard that links carry and events bring back, the channel that follows from it, and where a link may
//! lead. Pure, by the rules of the WHATWG URL standard. It never fetches anything and knows no brand's names.
//! Start with [`Identifiers`].

mod ad_clicks;
mod channels;
mod destinations;
mod identifiers;
mod lint;

pub use ad_clicks::{AD_CLICKS, AdClicks, is_ad_click};
pub use channels::{Channel, channel_of};
pub use destinations::{
    DESTINATION_EXPECTED, HOST_EXPECTED, NOT_ALLOWED, is_allowed, is_destination, is_host_of, normal_host,
    normal_pattern,
};
pub use identifiers::{CHAIN, Identifiers, with_chain};
pub use lint::{Finding, Severity, lint};
