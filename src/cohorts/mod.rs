//! cohorts
