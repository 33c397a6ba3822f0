//! The nouns of the API, asked over HTTP as clients ask.

mod creators_and_campaigns;
mod forest;
mod links;
mod once;
mod values;
