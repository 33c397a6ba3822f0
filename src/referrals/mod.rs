//! Members and edges from sign-ups.
