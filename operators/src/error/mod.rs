//! Operators for items that are `Result`s, and sources that start again.
