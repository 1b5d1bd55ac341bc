//! Operators that keep several pieces of work in flight.
