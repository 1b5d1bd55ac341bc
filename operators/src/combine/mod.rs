//! Operators with several inputs.
