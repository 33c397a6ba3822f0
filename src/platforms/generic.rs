//! The generic source: a JSON object or array, signed with HMAC-SHA256 over the raw body.
