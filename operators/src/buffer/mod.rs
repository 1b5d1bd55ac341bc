//! Operators that hold items between two sides that run at different speeds.
