//! What people did
