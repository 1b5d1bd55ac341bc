//! One flow to several consumers.
